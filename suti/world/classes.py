"""The twelve classes as layers of signed distances.

Local coordinates: the frame is about [-1, 1]; the ground is at v = .75 and figures reach up to about
v = -.55, so that hats fit.
Every class function takes u, v: (n, H, W) and p: six (n, 1, 1) proportions in [0, 1], and returns a Figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from suti.world.shapes import (
    Array,
    Number,
    box,
    capsule,
    circle,
    ellipse,
    lerp,
    polygon,
    ring,
    stripes,
    trapezoid,
)
from suti.world.vocabulary import CLASSES

# 'body' is the primary colour with the pattern; the other names are flat colours, see render.palette.
Colour = str


@dataclass
class Anchors:
    """Where accessories go. head: x, top, half width; eyes: x, y, spacing, radius; neck: x, y, half width;
    body: x, y, half width, half height (decals sit at its centre, outfits on its lower half)."""

    head: tuple[Number, Number, Number]
    eyes: tuple[Number, Number, Number, Number]
    neck: tuple[Number, Number, Number]
    body: tuple[Number, Number, Number, Number]


@dataclass
class Figure:
    """Layers from back to front: (distance, colour name). `union` is the distance to the whole silhouette."""

    anchors: Anchors
    layers: list[tuple[Array, Colour]] = field(default_factory=list)
    union: Array | None = None

    def add(self, distance: Array, colour: Colour, inner: bool = False) -> None:
        """inner: known to lie within the silhouette, so the union need not grow."""
        self.layers.append((distance, colour))
        if not inner:
            self.union = distance if self.union is None else np.minimum(self.union, distance)


P = Sequence[Array]


def backpack(u: Array, v: Array, p: P) -> Figure:
    """p: width, roundness, pocket height, flap height, side pockets, handle."""
    w, top = lerp(0.38, 0.54, p[0]), -0.40
    fig = Figure(Anchors((0, top - 0.02, w * 0.75), (0, -0.16, 0.19, 0.13), (0, -0.17, w), (0, 0.20, w * 0.8, 0.45)))
    fig.add(ring(circle(u, v, 0, top, lerp(0.13, 0.2, p[5])), 0.05), "accent")
    side, height = lerp(0.07, 0.16, p[4]), lerp(0.16, 0.26, p[4])
    fig.add(box(np.abs(u), v, w + 0.04, 0.44, side, height, 0.07), "secondary")
    fig.add(box(u, v, 0, 0.18, w, 0.57, lerp(0.14, 0.36, p[1])), "body")
    flap = lerp(0.20, 0.34, p[3])
    fig.add(box(u, v, 0, top + flap - 0.02, w + 0.03, flap, 0.16), "body")
    fig.add(box(u, v, 0, top + 2 * flap - 0.05, w + 0.03, 0.035), "dark", inner=True)
    pocket = lerp(0.13, 0.21, p[2])
    fig.add(box(u, v, 0, 0.66 - pocket, w * 0.66, pocket, 0.07), "secondary", inner=True)
    fig.add(box(u, v, 0, 0.70 - 1.75 * pocket, w * 0.5, 0.025), "dark", inner=True)
    fig.add(box(u, v, 0, top + 2 * flap - 0.04, 0.075, 0.085, 0.03), "accent", inner=True)
    return fig


def boot(u: Array, v: Array, p: P) -> Figure:
    """p: shaft height, shaft width, toe length, heel height, cuff height, sole thickness."""
    top, w, toe = lerp(-0.28, -0.56, p[0]), lerp(0.22, 0.32, p[1]), lerp(0.42, 0.72, p[2])
    x = -0.22
    fig = Figure(Anchors((x, top, w * 1.2), (x, top + 0.28, 0.14, 0.11), (x, top + 0.24, w), (x + 0.05, 0.2, w, 0.4)))
    sole = lerp(0.05, 0.10, p[5])
    fig.add(box(u, v, (x - w + toe) / 2, 0.75 - sole, (toe - x + w) / 2 + 0.03, sole, 0.03), "secondary")
    fig.add(box(u, v, x - w * 0.45, 0.72, w * 0.6, lerp(0.07, 0.15, p[3]), 0.02), "dark")
    bottom = 0.75 - sole
    fig.add(box(u, v, (x - w + toe) / 2, bottom - 0.19, (toe - x + w) / 2, 0.21, 0.19), "body")
    fig.add(box(u, v, x, (top + bottom) / 2, w, (bottom - top) / 2, 0.06), "body")
    fig.add(np.maximum(circle(u, v, toe - 0.1, bottom, 0.24), v - bottom), "secondary")
    cuff = lerp(0.07, 0.16, p[4])
    fig.add(box(u, v, x, top + cuff, w + 0.06, cuff, 0.05), "secondary")
    fig.add(
        np.maximum(stripes(v - bottom, 0.17, 0.42), box(u, v, x + w - 0.03, bottom - 0.34, 0.13, 0.21)),
        "accent",
    )
    return fig


def candle(u: Array, v: Array, p: P) -> Figure:
    """p: width, height, holder width, drip length, flame size, holder height."""
    w, top, hold = lerp(0.26, 0.40, p[0]), lerp(-0.10, -0.32, p[1]), lerp(0.50, 0.66, p[2])
    f = lerp(0.13, 0.18, p[4])
    fig = Figure(
        Anchors(
            (-w - 0.14, top + 0.14, 0.26),  # beside the flame
            (0, top + 0.16, 0.15, 0.12),
            (0, top + 0.08, w),
            (0, top + 0.40, w, 0.28),
        )
    )
    fig.add(ring(circle(u, v, hold + 0.05, 0.55, 0.13), 0.05), "secondary")
    hold_h = lerp(0.07, 0.13, p[5])
    fig.add(box(u, v, 0, (top + 0.7) / 2, w, (0.7 - top) / 2, 0.05), "body")
    drip = lerp(0.12, 0.34, p[3])
    for x, share in ((-0.72, 1.0), (0.0, 0.55), (0.72, 0.8)):
        fig.add(capsule(u, v, x * w, top + 0.04, x * w, top + 0.05 + drip * share, 0.075), "tint")
    fig.add(box(u, v, 0, top + 0.03, w + 0.02, 0.05, 0.04), "tint")
    fig.add(trapezoid(u, v, 0, 0.75 - 2 * hold_h, 0.75, hold, hold * 0.72), "secondary")
    fig.add(box(u, v, 0, 0.75 - 2 * hold_h, hold + 0.02, 0.04, 0.03), "secondary")
    fy = top - f - 0.06
    for r, colour in ((1.0, "flame"), (0.55, "glow")):
        ball = circle(u, v, 0, fy + f * (1 - r) * 0.8, f * r)
        tip = polygon(
            u, v, (0, fy - 2.0 * f * r), (0.93 * f * r, fy - 0.3 * f * r + f * (1 - r) * 0.8),
            (-0.93 * f * r, fy - 0.3 * f * r + f * (1 - r) * 0.8),
        )  # fmt: skip
        fig.add(np.minimum(ball, tip), colour)
    return fig


def car(u: Array, v: Array, p: P) -> Figure:
    """p: length, cabin width, cabin position, wheel radius, body height, cabin height."""
    hl, r, bh = lerp(0.70, 0.86, p[0]), lerp(0.18, 0.26, p[3]), lerp(0.20, 0.27, p[4])
    cy, x = 0.36, lerp(-0.20, 0.05, p[2])
    ch, cw = lerp(0.34, 0.50, p[5]), lerp(0.32, 0.46, p[1])
    top = cy - bh - ch
    fig = Figure(
        Anchors(
            (x, top, 0.40),
            (x, top + ch * 0.55, 0.20, 0.14),
            (x, cy - bh - 0.05, cw + 0.1),
            (x, cy - 0.02, hl, bh * 1.1),
        )
    )
    fig.add(trapezoid(u, v, x, top, cy - bh + 0.1, cw, cw + 0.18), "primary")
    fig.add(box(u, v, 0, cy, hl, bh, 0.14), "body")
    fig.add(trapezoid(u, v, x, top + 0.09, cy - bh, cw - 0.05, cw + 0.06), "glass", inner=True)
    fig.add(box(u, v, x, (top + cy - bh) / 2, 0.045, ch / 2), "primary", inner=True)
    fig.add(box(u, v, 0, cy + bh - 0.06, hl + 0.05, 0.06, 0.05), "secondary")
    fig.add(circle(u, v, hl - 0.09, cy - 0.05, 0.085), "glow", inner=True)
    wheels = np.abs(u) - hl * 0.56
    fig.add(circle(wheels, v, 0, 0.75 - r, r), "dark")
    fig.add(circle(wheels, v, 0, 0.75 - r, r * 0.52), "accent", inner=True)
    return fig


def clock(u: Array, v: Array, p: P) -> Figure:
    """p: roundness, radius, rim width, hour hand, minute hand, bells."""
    r = lerp(0.46, 0.54, p[1])
    cy = 0.68 - r
    fig = Figure(
        Anchors(
            (0, cy - r - 0.02, r * 0.75),
            (0, cy - 0.1, 0.19, 0.14),
            (0, cy + 0.90 * r, r * 0.75),
            (0, cy + 0.42 * r, r * 0.85, r * 0.62),
        )
    )
    bell = lerp(0.13, 0.22, p[5])
    au = np.abs(u)
    fig.add(capsule(au, v, r * 0.45, cy + r * 0.7, r * 0.78, 0.72, 0.06), "secondary")
    fig.add(circle(au, v, r * 0.66, cy - r * 0.82, bell), "secondary")
    fig.add(capsule(u, v, 0, cy - r, 0, cy - r - 0.12, 0.06), "accent")
    square = lerp(0.32, 1.0, p[0])
    fig.add(box(u, v, 0, cy, r, r, square * r), "body")
    f = r * lerp(0.60, 0.78, p[2])
    fig.add(box(u, v, 0, cy, f, f, square * f), "pale", inner=True)
    tick_u, tick_v = np.maximum(au, np.abs(v - cy)), np.minimum(au, np.abs(v - cy))
    fig.add(box(tick_u, tick_v, f * 0.82, 0, 0.055, 0.035), "dark", inner=True)
    for turn, length, width in ((p[3], 0.48, 0.055), (p[4], 0.72, 0.038)):
        angle = turn * np.float32(2 * np.pi)
        hand = capsule(u, v, 0, cy, np.sin(angle) * length * f, cy - np.cos(angle) * length * f, width)
        fig.add(hand, "dark", inner=True)
    fig.add(circle(u, v, 0, cy, 0.07), "accent", inner=True)
    return fig


def robot(u: Array, v: Array, p: P) -> Figure:
    """p: head width, body width, arm length, leg width, antenna, eye size."""
    hw, bw, hh = lerp(0.26, 0.40, p[0]), lerp(0.28, 0.42, p[1]), 0.22
    hy, by = -0.24, 0.27
    fig = Figure(Anchors((0, hy - hh, hw), (0, hy - 0.03, hw * 0.5, 0.12), (0, 0.01, bw), (0, by, bw, 0.26)))
    au = np.abs(u)
    leg = lerp(0.07, 0.13, p[3])
    fig.add(box(au, v, bw * 0.5, 0.60, leg, 0.13), "secondary")
    fig.add(box(au, v, bw * 0.5 + 0.03, 0.70, leg + 0.04, 0.055, 0.03), "dark")
    hand = lerp(0.22, 0.46, p[2])
    fig.add(capsule(au, v, bw, 0.12, bw + 0.17, 0.12 + hand, 0.075), "secondary")
    fig.add(circle(au, v, bw + 0.17, 0.14 + hand, 0.105), "accent")
    fig.add(box(u, v, 0, hy - hh, 0.035, lerp(0.08, 0.18, p[4])), "dark")
    fig.add(circle(u, v, 0, hy - hh - lerp(0.10, 0.19, p[4]), 0.085), "accent")
    fig.add(box(u, v, 0, 0.0, 0.13, 0.08), "dark")
    fig.add(box(u, v, 0, by, bw, 0.28, 0.08), "body")
    fig.add(box(u, v, 0, hy, hw, hh, 0.08), "primary")
    fig.add(circle(au, v, hw * 0.5, hy - 0.04, lerp(0.085, 0.125, p[5])), "white", inner=True)
    fig.add(circle(au, v, hw * 0.5, hy - 0.03, 0.05), "dark", inner=True)
    fig.add(box(u, v, 0, hy + 0.13, hw * 0.55, 0.04), "dark", inner=True)
    return fig


def teapot(u: Array, v: Array, p: P) -> Figure:
    """p: width, height, spout, handle, knob, lid."""
    rx, ry = lerp(0.42, 0.55, p[0]), lerp(0.38, 0.50, p[1])
    cy = 0.71 - ry
    knob = cy - ry * 0.90 - lerp(0.10, 0.16, p[5]) - 0.03
    fig = Figure(
        Anchors((0, knob - 0.06, 0.30), (0, cy - 0.20, 0.19, 0.14), (0, cy - ry * 0.52, rx * 0.92),
                (0, cy + 0.08, rx * 0.85, ry * 0.8))
    )  # fmt: skip
    handle = ellipse(u, v, -rx - 0.02, cy - 0.03, lerp(0.18, 0.27, p[3]), lerp(0.20, 0.30, p[3]))
    fig.add(ring(handle, 0.062), "secondary")
    tip = lerp(0.10, 0.36, p[2])
    fig.add(capsule(u, v, rx * 0.7, cy + 0.16, rx + 0.24, cy - tip, 0.16, 0.065), "primary")
    fig.add(capsule(u, v, rx + 0.20, cy - tip - 0.01, rx + 0.31, cy - tip - 0.03, 0.06), "secondary")
    fig.add(box(u, v, 0, 0.71, rx * 0.55, 0.05, 0.02), "secondary")
    fig.add(ellipse(u, v, 0, cy, rx, ry), "body")
    lid = lerp(0.10, 0.16, p[5])
    fig.add(ellipse(u, v, 0, cy - ry * 0.90, rx * 0.58, lid), "secondary")
    fig.add(circle(u, v, 0, knob, lerp(0.075, 0.115, p[4])), "accent")
    return fig


def vase(u: Array, v: Array, p: P) -> Figure:
    """p: belly, belly height, neck width, lip width, foot, handles (above .5 an amphora)."""
    br, cy, nw = lerp(0.36, 0.55, p[0]), lerp(0.22, 0.36, p[1]), lerp(0.13, 0.24, p[2])
    lip, top = nw + lerp(0.10, 0.22, p[3]), -0.50
    fig = Figure(
        Anchors(
            (0, top - 0.02, lip),
            (0, cy - 0.20, 0.18, 0.13),
            (0, cy - 0.34, nw + 0.16),
            (0, cy + 0.06, br * 0.85, 0.36),
        )
    )
    size = np.where(p[5] > 0.5, 0.22, -9.0).astype(np.float32)
    fig.add(ring(ellipse(np.abs(u), v, nw + 0.13, -0.16, 0.16, 0.22), size * 0.25), "secondary")
    fig.add(trapezoid(u, v, 0, 0.58, 0.75, br * 0.4, br * lerp(0.5, 0.78, p[4])), "secondary")
    belly = ellipse(u, v, 0, cy, br, 0.70 - cy)
    neck = trapezoid(u, v, 0, top, cy - 0.1, nw, nw + 0.10)
    k = 0.16
    h = np.maximum(k - np.abs(belly - neck), 0.0)
    fig.add(np.minimum(belly, neck) - h * h * (0.25 / k), "body")
    fig.add(trapezoid(u, v, 0, top - 0.02, top + 0.17, lip, nw), "secondary")
    fig.add(ellipse(u, v, 0, top - 0.01, lip, 0.075), "secondary")
    fig.add(ellipse(u, v, 0, top - 0.01, lip - 0.08, 0.038), "dark", inner=True)
    return fig


def cat(u: Array, v: Array, p: P) -> Figure:
    """p: ears, head width, body width, tail, muzzle, eye size."""
    hw, bw, hy = lerp(0.40, 0.50, p[1]), lerp(0.32, 0.44, p[2]), -0.06
    fig = Figure(Anchors((0, hy - 0.34, 0.24), (0, hy - 0.04, 0.2, 0.135), (0, 0.26, bw * 0.95), (0, 0.50, bw, 0.26)))
    au = np.abs(u)
    tx = lerp(0.62, 0.80, p[3])
    fig.add(capsule(u, v, bw * 0.7, 0.64, tx, 0.46, 0.08), "primary")
    fig.add(capsule(u, v, tx, 0.46, tx + 0.02, lerp(0.20, -0.08, p[3]), 0.08), "secondary")
    fig.add(ellipse(u, v, 0, 0.44, bw, 0.33), "body")
    fig.add(ellipse(au, v, bw * 0.5, 0.69, 0.14, 0.085), "secondary")
    e = lerp(0.22, 0.36, p[0])
    fig.add(polygon(au, v, (hw * 0.80, hy - 0.2 - e), (hw * 0.98, hy), (hw * 0.12, hy - 0.22)), "primary")
    fig.add(
        polygon(au, v, (hw * 0.78, hy - 0.12 - e), (hw * 0.86, hy - 0.1), (hw * 0.40, hy - 0.22)),
        "secondary",
        inner=True,
    )
    fig.add(ellipse(u, v, 0, hy, hw, 0.34), "body")
    fig.add(ellipse(u, v, 0, hy + 0.17, lerp(0.15, 0.24, p[4]), 0.12), "white", inner=True)
    eye = lerp(0.075, 0.11, p[5])
    fig.add(ellipse(au, v, 0.2, hy - 0.05, eye, 0.115), "white", inner=True)
    fig.add(ellipse(au, v, 0.19, hy - 0.04, 0.05, 0.095), "dark", inner=True)
    fig.add(circle(u, v, 0, hy + 0.11, 0.055), "dark", inner=True)
    for dy in (0.0, 0.09):
        fig.add(capsule(au, v, 0.30, hy + 0.13 + dy * 0.5, 0.58, hy + 0.08 + dy * 1.6, 0.02), "dark")
    return fig


def dog(u: Array, v: Array, p: P) -> Figure:
    """p: body length, leg length, ear length, muzzle, tail, head size."""
    bl, r, x, hy = lerp(0.34, 0.48, p[0]), lerp(0.29, 0.36, p[5]), 0.30, -0.16
    by = lerp(0.36, 0.26, p[1])
    fig = Figure(
        Anchors((x, hy - r * 0.95, r), (x, hy - 0.08, 0.145, 0.125), (x - 0.04, 0.17, 0.3), (-0.12, by, bl, 0.21))
    )
    fig.add(capsule(u, v, -0.1 - bl, by - 0.08, -0.22 - bl, by - lerp(0.24, 0.5, p[4]), 0.085, 0.06), "secondary")
    fig.add(box(np.abs(u + 0.1), v, bl - 0.08, 0.56, 0.095, 0.19, 0.05), "primary")
    fig.add(box(np.abs(np.abs(u + 0.1) - bl + 0.08), v, 0, 0.715, 0.115, 0.055, 0.03), "secondary")
    fig.add(box(u, v, -0.1, by, bl + 0.05, 0.24, 0.2), "body")
    fig.add(box(u, v, x - 0.04, 0.16, 0.22, 0.065, 0.05), "accent")
    fig.add(ellipse(u, v, x, hy, r, 0.33), "primary")
    ear = lerp(0.18, 0.33, p[2])
    fig.add(ellipse(np.abs(u - x), v, r + 0.03, hy - 0.10 + ear * 0.6, 0.125, ear), "secondary")
    muzzle = lerp(0.16, 0.24, p[3])
    fig.add(ellipse(u, v, x, hy + 0.17, muzzle, 0.16), "white")
    fig.add(capsule(u, v, x, hy + 0.27, x, hy + 0.33, 0.06), "tongue", inner=True)
    fig.add(ellipse(u, v, x, hy + 0.09, 0.10, 0.07), "dark", inner=True)
    fig.add(circle(np.abs(u - x), v, 0.145, hy - 0.08, 0.065), "dark", inner=True)
    return fig


def duck(u: Array, v: Array, p: P) -> Figure:
    """p: body length, body height, head size, bill length, wing, tail."""
    rx, ry, r = lerp(0.50, 0.62, p[0]), lerp(0.29, 0.37, p[1]), lerp(0.25, 0.33, p[2])
    cy, x = 0.73 - ry, 0.30
    hy = cy - ry - r * 0.45
    fig = Figure(
        Anchors(
            (x, hy - r * 0.95, r),
            (x + 0.06, hy - 0.04, 0.13, 0.115),
            (x - 0.03, hy + r * 0.95, 0.28),
            (-0.1, cy, rx * 0.75, ry),
        )
    )
    t = lerp(0.12, 0.34, p[5])
    fig.add(
        polygon(u, v, (-rx - 0.20, cy - 0.12 - t), (-rx * 0.2, cy - ry * 0.6), (-rx * 0.7, cy + 0.16)),
        "secondary",
    )
    bill = lerp(0.16, 0.32, p[3])
    fig.add(capsule(u, v, x + r * 0.8, hy + 0.07, x + r * 0.85 + bill, hy + 0.10, 0.12, 0.055), "bill")
    fig.add(ellipse(u, v, -0.05, cy, rx, ry), "body")
    fig.add(capsule(u, v, x, hy + 0.1, x - 0.04, cy - 0.05, r * 0.72), "primary")
    fig.add(circle(u, v, x, hy, r), "primary")
    wing = lerp(0.22, 0.34, p[4])
    fig.add(ring(ellipse(u, v, -0.24, cy - 0.04, wing, 0.17), 0.032), "secondary", inner=True)
    fig.add(circle(u, v, x + 0.10, hy - 0.06, 0.095), "white", inner=True)
    fig.add(circle(u, v, x + 0.12, hy - 0.05, 0.055), "dark", inner=True)
    return fig


def fish(u: Array, v: Array, p: P) -> Figure:
    """p: length, height, tail size, dorsal fin, side fin, eye size."""
    rx, ry, cy, x = lerp(0.50, 0.62, p[0]), lerp(0.34, 0.48, p[1]), 0.20, 0.12
    fig = Figure(
        Anchors(
            (x + 0.12, cy - ry, 0.34),
            (x + rx * 0.48, cy - 0.08, 0.14, 0.135),
            (x + rx * 0.35, cy + ry * 0.72, rx * 0.5),
            (x - 0.1, cy + 0.05, rx * 0.6, ry * 0.95),
        )
    )
    t = lerp(0.28, 0.48, p[2])
    tail = polygon(u, v, (x - rx * 0.72, cy), (-0.88, cy + t), (-0.88, cy - t))
    fig.add(np.maximum(tail, 0.13 - circle(u, v, -1.0, cy, 0.0)), "secondary")
    f = lerp(0.16, 0.38, p[3])
    fig.add(
        polygon(u, v, (x - 0.28, cy - ry - f), (x + 0.30, cy - ry * 0.7), (x - 0.30, cy - ry * 0.6)),
        "secondary",
    )
    fig.add(
        polygon(u, v, (x + 0.10, cy + ry * 0.6), (x - 0.22, cy + ry + f * 0.6), (x - 0.26, cy + ry * 0.6)),
        "secondary",
    )
    fig.add(ellipse(u, v, x, cy, rx, ry), "body")
    side = lerp(0.11, 0.2, p[4])
    fig.add(
        polygon(
            u,
            v,
            (x + 0.02, cy + 0.14),
            (x - 0.06 - side, cy + 0.14 + side),
            (x - 0.06 - side, cy + 0.14 - side * 0.6),
        ),
        "accent",
        inner=True,
    )
    eye = lerp(0.10, 0.15, p[5])
    fig.add(circle(u, v, x + rx * 0.55, cy - 0.10, eye), "white", inner=True)
    fig.add(circle(u, v, x + rx * 0.58, cy - 0.09, eye * 0.55), "dark", inner=True)
    fig.add(capsule(u, v, x + rx * 0.98, cy + 0.12, x + rx * 0.66, cy + 0.16, 0.028), "dark", inner=True)
    return fig


FIGURES: dict[str, Callable[[Array, Array, P], Figure]] = {name: globals()[name] for name in CLASSES}
