"""The ten accessories, drawn in the subject's own coordinates at its anchors.

What is worn must not hide who wears it: glasses have clear lenses, a shirt is open in front, an outfit is a hat and
a strip at the body's foot below the decal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from suti.world.classes import Anchors
from suti.world.shapes import (
    Array,
    box,
    capsule,
    circle,
    ellipse,
    polygon,
    ring,
    star,
    trapezoid,
)
from suti.world.vocabulary import ACCESSORIES

Layer = tuple[Array, tuple[float, float, float]]
STRIP = (0.66, 1.22)  # an outfit's part of the body, in half heights below its centre
BADGE = 0.92  # where its badge or buttons are

RED, DARK_RED, WHITE, BLACK = (0.86, 0.10, 0.12), (0.55, 0.05, 0.08), (0.98, 0.98, 0.98), (0.10, 0.09, 0.12)
GOLD, YELLOW, NAVY, PURPLE = (0.98, 0.78, 0.18), (1.0, 0.86, 0.12), (0.13, 0.20, 0.48), (0.45, 0.16, 0.68)
PINK, GREY, OCHRE = (1.0, 0.32, 0.66), (0.82, 0.84, 0.88), (0.85, 0.62, 0.05)
RAINBOW = (
    (0.90, 0.15, 0.18),
    (0.98, 0.58, 0.12),
    (1.0, 0.90, 0.20),
    (0.25, 0.72, 0.30),
    (0.20, 0.42, 0.90),
    (0.58, 0.25, 0.75),
)


def _hat_size(a: Anchors, n: int) -> tuple[Array, Array, Array]:
    x, top, w = (np.broadcast_to(np.asarray(value, np.float32), (n, 1, 1)) for value in a.head)
    return x, top + 0.05, np.clip(w, 0.24, 0.38)


def _coat(u: Array, v: Array, a: Anchors, silhouette: Array, start: float = STRIP[0], end: float = STRIP[1]) -> Array:
    """The silhouette from `start` to `end`, in half heights below the body's centre."""
    x, y, w, h = a.body
    middle, half = y + h * (start + end) / 2, h * (end - start) / 2
    return np.maximum(silhouette, box(u, v, x, middle, w * 1.25, half))


def red_hat(u: Array, v: Array, a: Anchors, d: Array) -> list[Layer]:
    x, y, w = _hat_size(a, len(u))
    dome = np.maximum(ellipse(u, v, x, y - 0.06, w * 0.82, 0.32), v - y)
    return [
        (dome, RED),
        (box(u, v, x, y - 0.085, w * 0.80, 0.05), DARK_RED),
        (box(u, v, x, y, w * 1.35, 0.06, 0.06), RED),
    ]


def santa_hat(u: Array, v: Array, a: Anchors, d: Array) -> list[Layer]:
    x, y, w = _hat_size(a, len(u))
    cone = polygon(u, v, (x + 0.10, y - 0.46), (x + w, y), (x - w, y))
    fold = capsule(u, v, x + 0.10, y - 0.38, x + w + 0.06, y - 0.26, 0.09, 0.06)
    return [
        (np.minimum(cone, fold), RED),
        (box(u, v, x, y - 0.01, w * 1.15, 0.085, 0.08), WHITE),
        (circle(u, v, x + w + 0.10, y - 0.23, 0.12), WHITE),
    ]


def rainbow_scarf(u: Array, v: Array, a: Anchors, d: Array) -> list[Layer]:
    x, y, w = a.neck
    w = w + 0.05
    layers: list[Layer] = []
    for i, colour in enumerate(RAINBOW):
        centre = x - w + (2 * i + 1) * w / 6
        layers.append((box(u, v, centre, y, w / 6 + 0.005, 0.085), colour))
    for i, colour in enumerate(RAINBOW):
        layers.append((box(u, v, x + w * 0.98, y + 0.07 + 0.07 * i, 0.09, 0.036), colour))
    return layers


def top_hat(u: Array, v: Array, a: Anchors, d: Array) -> list[Layer]:
    x, y, w = _hat_size(a, len(u))
    ex, ey, spacing, r = a.eyes
    lens = circle(u, v, ex + spacing, ey, r + 0.03)
    return [
        (box(u, v, x, y - 0.22, w * 0.78, 0.22, 0.02), BLACK),
        (box(u, v, x, y - 0.10, w * 0.78, 0.045), GREY),
        (box(u, v, x, y, w * 1.3, 0.055, 0.04), BLACK),
        (ring(lens, 0.036), GOLD),
        (capsule(u, v, ex + spacing + r, ey + 0.04, ex + spacing + r + 0.08, ey + 0.34, 0.024), GOLD),
    ]


def chef(u: Array, v: Array, a: Anchors, d: Array) -> list[Layer]:
    x, y, w = _hat_size(a, len(u))
    bx, by, _, h = a.body
    puff = np.minimum(circle(np.abs(u - x), v, w * 0.62, y - 0.28, 0.19), circle(u, v, x, y - 0.34, 0.22))
    buttons = circle(np.abs(u - bx), v, 0.16, by + BADGE * h, 0.045)
    return [
        (_coat(u, v, a, d), WHITE),
        (buttons, BLACK),
        (puff, WHITE),
        (trapezoid(u, v, x, y - 0.28, y + 0.01, w * 0.85, w * 0.78), WHITE),
        (box(u, v, x, y - 0.04, w * 0.80, 0.03), GREY),
    ]


def firefighter(u: Array, v: Array, a: Anchors, d: Array) -> list[Layer]:
    x, y, w = _hat_size(a, len(u))
    by, h = a.body[1], a.body[3]
    coat = _coat(u, v, a, d)
    dome = np.maximum(ellipse(u, v, x, y - 0.02, w * 0.92, 0.34), v - y)
    return [
        (coat, (0.20, 0.19, 0.20)),
        (np.maximum(coat, np.abs(v - by - BADGE * h) - 0.045), YELLOW),
        (dome, RED),
        (box(u, v, x, y, w * 1.4, 0.06, 0.05), DARK_RED),
        (box(u, v, x, y - 0.16, 0.115, 0.125, 0.05), GOLD),
    ]


def police(u: Array, v: Array, a: Anchors, d: Array) -> list[Layer]:
    x, y, w = _hat_size(a, len(u))
    bx, by, _, h = a.body
    return [
        (_coat(u, v, a, d), NAVY),
        (star(u, v, bx, by + BADGE * h, 0.12), GOLD),
        (trapezoid(u, v, x, y - 0.32, y - 0.12, w * 1.12, w * 0.9), NAVY),
        (box(u, v, x, y - 0.08, w * 0.88, 0.06), BLACK),
        (ellipse(u, v, x, y + 0.0, w * 0.95, 0.055), BLACK),
        (circle(u, v, x, y - 0.20, 0.09), GOLD),
    ]


def pink_glasses(u: Array, v: Array, a: Anchors, d: Array) -> list[Layer]:
    x, y, spacing, r = a.eyes
    au = np.abs(u - x)
    r = r + 0.035
    lens = circle(au, v, spacing, y, r)
    bridge = box(au, v, 0, y, np.maximum(spacing - r, 0.02), 0.035)
    return [
        (ring(lens, 0.04), PINK),
        (bridge, PINK),
        (box(au, v, spacing + r + 0.06, y - 0.02, 0.06, 0.04), PINK),
    ]


def yellow_shirt(u: Array, v: Array, a: Anchors, d: Array) -> list[Layer]:
    x, y, w, h = a.body
    au = np.abs(u - x)
    opening = np.maximum(0.76 * w, 0.19)
    sides = np.maximum(_coat(u, v, a, d - 0.03, -0.9, 0.85), np.maximum(opening - au, au - 1.05 * w - 0.03))
    collar = np.maximum(box(u, v, x, y - 0.88 * h, w, 0.045), d)
    sleeves = capsule(au, v, w * 0.95, y - 0.45 * h, w * 1.08 + 0.05, y + 0.05 * h, 0.11)
    hem = np.maximum(sides, au - opening - 0.05)
    cuffs = capsule(au, v, w * 1.04 + 0.03, y + 0.10 * h, w * 1.16 + 0.10, y + 0.02 * h, 0.035)
    return [(np.minimum(np.minimum(sides, collar), sleeves), YELLOW), (hem, OCHRE), (cuffs, OCHRE)]


def wizard(u: Array, v: Array, a: Anchors, d: Array) -> list[Layer]:
    x, y, w = _hat_size(a, len(u))
    bx, by, _, h = a.body
    return [
        (_coat(u, v, a, d), PURPLE),
        (star(u, v, bx, by + BADGE * h, 0.11), GOLD),
        (polygon(u, v, (x - 0.06, y - 0.56), (x + w * 0.9, y), (x - w * 0.9, y)), PURPLE),
        (ellipse(u, v, x, y, w * 1.45, 0.085), PURPLE),
        (box(u, v, x, y - 0.085, w * 0.74, 0.035), GOLD),
        (star(u, v, x - 0.01, y - 0.25, 0.11), GOLD),
    ]


DRESS: dict[str, Callable[[Array, Array, Anchors, Array], list[Layer]]] = {
    name: globals()[name] for name in ACCESSORIES
}
