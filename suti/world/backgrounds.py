"""The twenty places and the studio: a colour layout and one bold feature each, calmer than the subjects.

Every painter takes x, y: (1, H, W) frame coordinates in [-1, 1] (y down) and r: twelve (n, 1, 1) uniforms,
and returns rgb (n, 3, H, W) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from suti.world.canvas import Canvas, Colour, R, cell_noise, flakes, pine, trunks
from suti.world.shapes import (
    Array,
    box,
    capsule,
    circle,
    ellipse,
    lerp,
    polygon,
    rgb3,
    ring,
    stripes,
    trapezoid,
    triangle_wave,
)
from suti.world.vocabulary import BACKGROUNDS, STUDIO

LEAVES = ((1.0, -1.0, 0.35, -0.62), (1.1, -0.55, 0.52, -0.25), (1.1, 0.1, 0.62, 0.2), (1.0, 0.95, 0.5, 0.55))


def jungle(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.36, 0.52, 0.30), (0.13, 0.30, 0.17))
    trunks(c, x, y, r, (0.30, 0.29, 0.18), 0.5, 0.07)
    c.fill(-(y - 0.52 - 0.03 * np.sin(6 * x + 6 * r[5])), (0.20, 0.34, 0.16))
    for side in (-1.0, 1.0):
        for i, (px, py, ex, ey) in enumerate(LEAVES):
            j = 0.2 * (r[5 + i % 4] - 0.5)
            leaf = capsule(x, y, side * px, py + j, side * ex, ey + j, 0.19, 0.03)
            c.fill(leaf, ((0.16, 0.42, 0.22), (0.24, 0.52, 0.24))[i % 2])
            c.fill(capsule(x, y, side * px, py + j, side * ex, ey + j, 0.018), (0.40, 0.62, 0.34))
    c.fill(capsule(x, y, 0.15 * (r[9] - 0.5) - 0.2, -1.1, -0.1, -0.66, 0.2, 0.03), (0.20, 0.46, 0.22))
    return c.rgb


def snow(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.66, 0.74, 0.84), (0.80, 0.86, 0.92))
    for i, place in enumerate((-0.78, 0.80)):
        pine(c, x, y, place + 0.2 * (r[i] - 0.5), 0.30, 0.62, (0.36, 0.50, 0.50), True)
    c.fill(-(y - 0.26 - 0.06 * np.sin(2.6 * x + 6.28 * r[2])), (0.95, 0.97, 0.99))
    c.fill(-(y - 0.66 - 0.05 * np.sin(3.1 * x + 6.28 * r[3])), (0.88, 0.92, 0.97))
    c.fill(np.maximum(flakes(x + r[4], y + r[5], r[6], 0.34, 0.055, 0.8), y - 0.2), (1.0, 1.0, 1.0))
    return c.rgb


def beach(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.62, 0.82, 0.93), (0.80, 0.91, 0.94))
    sea = -0.12 + 0.1 * (r[0] - 0.5)
    c.fill(circle(x, y, np.where(r[1] < 0.5, -0.68, 0.68) + 0.2 * (r[2] - 0.5), -0.70, 0.17), (0.99, 0.90, 0.58))
    c.fill(-(y - sea), (0.26, 0.56, 0.72))
    shore = 0.30 + 0.04 * np.sin(3 * x + 6.28 * r[3])
    c.fill(-(y - shore), (0.96, 0.97, 0.96))
    c.fill(-(y - shore - 0.08), (0.91, 0.82, 0.62))
    c.fill(
        flakes(x, np.minimum(y - 0.55, 1.0) + 0 * r[4], r[4], 0.4, 0.045, 0.4) + 9 * (y < 0.55),
        (0.80, 0.68, 0.48),
    )
    return c.rgb


def cobblestone(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.44, 0.43, 0.44), (0.38, 0.37, 0.39))
    cell = lerp(0.30, 0.36, r[0])
    row = np.floor((y + r[1] * cell) / cell)
    u = (x + r[2] * cell) / cell + 0.5 * (row % 2)
    v = (y + r[1] * cell) / cell
    shade = cell_noise(np.floor(u), row, np.float32(0.3) + 0 * r[3])
    d = box((u - np.floor(u) - 0.5) * cell, (v - row - 0.5) * cell, 0, 0, cell * 0.41, cell * 0.40, 0.09)
    grey = (0.58 + 0.18 * shade)[:, None] * rgb3(1.0, 0.985, 0.96)
    c.fill(d, grey)
    wall = lerp(-0.5, -0.36, r[4])
    c.fill(y - wall, (0.72, 0.64, 0.56))
    c.fill(
        np.maximum(y - wall + 0.02, box(np.abs(x + 0.3 * (r[5] - 0.5)), y, 0.5, -0.8, 0.17, 0.26)),
        (0.44, 0.47, 0.52),
    )
    c.fill(np.abs(y - wall) - 0.03, (0.35, 0.33, 0.34))
    return c.rgb


def pink_fabric(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.93, 0.70, 0.78), (0.90, 0.64, 0.73))
    for i in range(3):
        s = x * (0.5 + 0.3 * r[i]) + y + 0.12 * np.sin(3 * x + 6.28 * r[3 + i]) + 0.65 * (i - 1)
        c.fill(np.abs(s) - 0.10, (0.82, 0.53, 0.64), 0.75)
        c.fill(np.abs(s + 0.19) - 0.07, (0.99, 0.83, 0.88), 0.8)
    return c.rgb


def wooden_floor(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.90, 0.87, 0.80), (0.90, 0.87, 0.80))
    top = lerp(-0.20, -0.05, r[0])
    plank, board = 0.29, y - top
    row = np.floor(board / plank)
    tone = cell_noise(row, 0 * row, r[1])
    c.fill(-board, (0.66 + 0.12 * tone)[:, None] * rgb3(1.0, 0.76, 0.52))
    seam = triangle_wave(board / plank) * plank - 0.028
    joint = np.abs(x - 1.6 * (cell_noise(row, 0 * row, r[2] + 2.2) - 0.5)) - 0.028
    c.fill(np.maximum(np.minimum(seam, joint), -board), (0.42, 0.28, 0.17))
    c.fill(np.abs(board + 0.05) - 0.05, (0.98, 0.97, 0.94))
    return c.rgb


def city(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.74, 0.79, 0.86), (0.90, 0.88, 0.86))
    for i in range(7):
        cx = -0.95 + 0.317 * i
        top = -0.30 - 0.55 * r[i] if i in (0, 1, 5, 6) else -0.25 - 0.45 * r[i]
        tone = (0.42, 0.47, 0.56) if i % 2 else (0.54, 0.57, 0.65)
        building = box(x, y, cx, (top + 0.6) / 2, 0.155, (0.6 - top) / 2)
        c.fill(building, tone)
        window = np.maximum(stripes(x - cx + 0.07, 0.14, 0.45), stripes(y - top, 0.19, 0.42))
        c.fill(np.maximum(window, building + 0.045), (0.95, 0.88, 0.62))
    c.fill(-(y - 0.48), (0.50, 0.50, 0.52))
    c.fill(np.maximum(np.abs(y - 0.86) - 0.03, stripes(x + r[8], 0.5, 0.55)), (0.92, 0.91, 0.86))
    return c.rgb


def mountain(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.64, 0.78, 0.90), (0.88, 0.92, 0.93))
    for i, (place, height, tone) in enumerate(
        (
            (0.10, 0.62, (0.58, 0.62, 0.72)),
            (-0.62, 0.86, (0.47, 0.51, 0.62)),
            (0.68, 0.92, (0.42, 0.46, 0.58)),
        )
    ):
        mx, top = place + 0.22 * (r[i] - 0.5), -height + 0.12 * r[3 + i]
        c.fill(polygon(x, y, (mx, top), (mx + 0.85, 0.42), (mx - 0.85, 0.42)), tone)
        cap = polygon(x, y, (mx, top), (mx + 0.24, top + 0.34), (mx - 0.24, top + 0.34))
        c.fill(np.maximum(cap, y - top - 0.22 - 0.06 * np.cos((x - mx) * 26)), (0.97, 0.98, 1.0))
    c.fill(-(y - 0.30 - 0.04 * np.sin(3 * x + 6 * r[6])), (0.52, 0.66, 0.42))
    c.fill(-(y - 0.62), (0.46, 0.60, 0.38))
    return c.rgb


def blue_house(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.84, 0.90, 0.93), (0.92, 0.93, 0.90))
    m = 0.16 * (r[0] - 0.5)
    c.fill(box(x, y, m + 0.45, -0.72, 0.10, 0.18), (0.62, 0.40, 0.36))
    c.fill(box(x, y, m, 0.05, 0.84, 0.45), (0.36, 0.55, 0.80))
    c.fill(np.maximum(stripes(y, 0.16, 0.18), box(x, y, m, 0.05, 0.84, 0.45)), (0.28, 0.46, 0.72))
    c.fill(trapezoid(x, y, m, -0.86, -0.36, 0.58, 0.98), (0.24, 0.32, 0.50))
    for side in (-1, 1):
        c.fill(box(x, y, m + side * 0.60, -0.05, 0.16, 0.19), (0.98, 0.98, 0.96))
        c.fill(box(x, y, m + side * 0.60, -0.05, 0.10, 0.13), (0.62, 0.74, 0.80))
    c.fill(-(y - 0.44), (0.56, 0.70, 0.45))
    c.fill(np.maximum(-(y - 0.44), np.abs(x - m) - 0.2 - 0.4 * (y - 0.44)), (0.82, 0.78, 0.70))
    return c.rgb


def purple_rug(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.62, 0.72, 0.58), (0.46, 0.58, 0.42))
    trunks(c, x, y, r, (0.38, 0.30, 0.24), 0.2)
    c.fill(y + 0.74 + 0.08 * np.sin(7 * x + 6 * r[5]), (0.27, 0.42, 0.28))
    c.fill(-(y - 0.10), (0.36, 0.46, 0.28))
    for w, h, tone in (
        (0.98, 0.36, (0.47, 0.32, 0.60)),
        (0.88, 0.29, (0.74, 0.60, 0.82)),
        (0.80, 0.235, (0.53, 0.37, 0.66)),
    ):
        c.fill(ellipse(x, y, 0.1 * (r[6] - 0.5), 0.60, w, h), tone)
    return c.rgb


def wheat_field(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.70, 0.82, 0.90), (0.90, 0.90, 0.84))
    top = lerp(-0.30, -0.18, r[0]) + 0.03 * np.sin(3 * x + 6 * r[1])
    c.fill(-(y - top), (0.87, 0.74, 0.42))
    lean = x + 0.08 * y + r[2]
    c.fill(np.maximum(stripes(lean, 0.26, 0.32), -(y - top - 0.12)), (0.72, 0.56, 0.27))
    c.fill(ellipse((triangle_wave(lean / 0.26)) * 0.26, y, 0, top + 0.02, 0.075, 0.17), (0.80, 0.63, 0.30))
    c.fill(np.maximum(stripes(lean + 0.13, 0.26, 0.22), -(y - top - 0.3)), (0.95, 0.85, 0.56))
    return c.rgb


def autumn(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.88, 0.87, 0.80), (0.93, 0.88, 0.76))
    c.fill(-(y - 0.34), (0.72, 0.62, 0.42))
    tx = np.where(r[0] < 0.5, -0.66, 0.66) + 0.15 * (r[1] - 0.5)
    c.fill(trapezoid(x, y, tx, -0.6, 0.5, 0.08, 0.13), (0.40, 0.28, 0.20))
    for i, (dx, dy, s, tone) in enumerate(
        (
            (-0.26, -0.42, 0.34, (0.80, 0.42, 0.22)),
            (0.26, -0.46, 0.34, (0.76, 0.34, 0.20)),
            (0.0, -0.76, 0.40, (0.88, 0.56, 0.24)),
            (-0.72, -0.8, 0.2, (0.84, 0.5, 0.25)),
        )
    ):
        c.fill(circle(x, y, tx + dx * np.where(r[0] < 0.5, 1, -1) + 0.05 * (r[2 + i] - 0.5), dy, s), tone)
    leaf = flakes(x, y + 0 * r[6], r[6], 0.33, 0.075, 0.75)
    c.fill(np.maximum(leaf, -(y - 0.36)), (0.82, 0.40, 0.20))
    leaf = flakes(x + 0.15, y + 0 * r[7], r[7], 0.40, 0.065, 0.4)
    c.fill(np.maximum(leaf, -(y + 0.9)), (0.92, 0.66, 0.28))
    return c.rgb


def eiffel(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.72, 0.80, 0.90), (0.95, 0.88, 0.82))
    c.fill(y * -1 + 0.36, (0.60, 0.68, 0.50))
    m = np.where(r[0] < 0.5, -0.60, 0.60) + 0.16 * (r[1] - 0.5)
    au, iron = np.abs(x - m), (0.36, 0.30, 0.28)
    w = 0.035 + 0.30 * np.exp(2.6 * (y - 0.40))
    leg = np.abs(au - w * 0.82) - (0.05 + 0.04 * (y + 0.95))
    tower = np.maximum(leg, np.maximum(-(y + 0.66), y - 0.42))
    c.fill(np.maximum(np.minimum(tower, np.maximum(au - w, y + 0.28)), -(y + 0.80)), iron)
    c.fill(box(x, y, m, -0.85, 0.025, 0.14), iron)
    for level, half in ((-0.28, 0.11), (0.05, 0.20)):
        c.fill(box(x, y, m, level, half, 0.04), iron)
    c.fill(np.maximum(ring(circle(x, y, m, 0.42, 0.21), 0.035), y - 0.42), iron)
    c.fill(-(y - 0.62), (0.80, 0.76, 0.68))
    return c.rgb


def _waves(c: Canvas, x: Array, y: Array, r: R, light: Colour, dark: Colour, top: float) -> None:
    for i in range(5):
        level = top + 0.14 + 0.30 * i
        wave = y - level - 0.045 * np.sin(x * (6.0 - 0.5 * i) + 6.28 * r[i])
        c.fill(np.abs(wave) - 0.032, light, 0.9)
        c.fill(np.abs(wave - 0.09) - 0.03, dark, 0.6)


def water(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.34, 0.62, 0.78), (0.16, 0.42, 0.62))
    _waves(c, x, y, r, (0.66, 0.84, 0.92), (0.14, 0.38, 0.58), -0.86)
    return c.rgb


def milk(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.99, 0.975, 0.94), (0.95, 0.925, 0.87))
    c.fill(y + 0.62 + 0 * r[0], (0.70, 0.62, 0.66))
    drip = 0.20 * np.sin(5.5 * x + 6.28 * r[5]) + 0.10 * np.sin(9 * x + 6.28 * r[6])
    c.fill(-(y + 0.62 + drip), (0.99, 0.975, 0.94))
    _waves(c, x, y, r, (1.0, 1.0, 0.99), (0.84, 0.79, 0.71), -0.55)
    return c.rgb


def sunflowers(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.60, 0.74, 0.46), (0.40, 0.60, 0.32))
    c.fill(y + 0.70, (0.78, 0.87, 0.92))
    places = ((-0.78, -0.42), (0.78, -0.48), (-0.80, 0.22), (0.82, 0.16), (-0.58, 0.84), (0.60, 0.86))
    for i, (px, py) in enumerate(places):
        fx, fy = px + 0.12 * (r[i] - 0.5), py + 0.12 * (r[i + 5] - 0.5)
        c.fill(box(x, y, fx, fy + 0.25, 0.03, 0.25), (0.28, 0.48, 0.24))
        angle = np.arctan2(y - fy, x - fx)
        c.fill(circle(x, y, fx, fy, 0.215) - 0.03 * np.cos(9 * angle), (0.96, 0.80, 0.30))
        c.fill(circle(x, y, fx, fy, 0.105), (0.40, 0.26, 0.16))
    return c.rgb


def mirror(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.66, 0.58, 0.54), (0.60, 0.52, 0.48))
    m = 0.1 * (r[0] - 0.5)
    c.fill(ellipse(x, y, m, 0.30, 0.99, 0.66), (0.86, 0.74, 0.46))
    glass = ellipse(x, y, m, 0.30, 0.90, 0.575)
    c.fill(glass, (0.76, 0.86, 0.90))
    for shift, w in ((-0.62, 0.07), (-0.38, 0.035), (0.60, 0.05), (0.80, 0.10)):
        glint = np.abs(x + 0.7 * (y - 0.3) - shift - 0.2 * (r[1] - 0.5)) - w
        c.fill(np.maximum(glint, glass + 0.03), (0.97, 0.99, 1.0))
    return c.rgb


def sidewalk(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.80, 0.77, 0.74), (0.78, 0.75, 0.72))
    tones = (
        (0.62, 0.42, 0.40),
        (0.40, 0.48, 0.60),
        (0.70, 0.62, 0.42),
        (0.44, 0.56, 0.46),
        (0.52, 0.42, 0.58),
        (0.40, 0.40, 0.44),
    )
    for i, tone in enumerate(tones):
        px, py = -0.90 + 0.36 * i + 0.1 * (r[i] - 0.5), -0.46 + 0.12 * r[i + 4]
        c.fill(box(x, y, px, py + 0.48, 0.16, 0.34, 0.10), tone)
        c.fill(box(np.abs(x - px), y, 0.075, py + 0.85, 0.055, 0.2), (0.30, 0.30, 0.36))
        c.fill(circle(x, y, px, py, 0.12), (0.86, 0.70, 0.58))
        c.fill(np.maximum(circle(x, y, px, py, 0.125), y - py + 0.03), (0.34, 0.26, 0.22))
    c.fill(-(y - 0.36), (0.70, 0.69, 0.68))
    across = triangle_wave((y - 0.36) / 0.32) * 0.32
    along = triangle_wave((x / (1.2 + y) + r[10]) / 0.42) * 0.42
    c.fill(np.maximum(np.minimum(across, along) - 0.022, -(y - 0.36)), (0.50, 0.49, 0.49))
    return c.rgb


def dirt_road(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.72, 0.83, 0.90), (0.86, 0.90, 0.88))
    c.fill(-(y + 0.26 + 0.04 * np.sin(4 * x + 6 * r[0])), (0.58, 0.66, 0.42))
    m = 0.3 * (r[1] - 0.5)
    depth = y + 0.26
    edge = np.abs(x - m * (1 - depth)) - 0.10 - 0.72 * depth
    c.fill(np.maximum(edge * 0.8, -depth), (0.70, 0.55, 0.40))
    rut = np.abs(np.abs(x - m * (1 - depth)) - 0.03 - 0.36 * depth) - 0.09 * depth - 0.01
    c.fill(np.maximum(rut, -depth), (0.56, 0.42, 0.30))
    stones = flakes(x, y + 0 * r[2], r[2], 0.36, 0.05, 0.45)
    c.fill(np.maximum(np.maximum(stones, edge + 0.1), -(y - 0.1)), (0.46, 0.36, 0.28))
    return c.rgb


def white_rug(x: Array, y: Array, r: R) -> Array:
    c = Canvas(x, y, len(r[0]), (0.62, 0.70, 0.70), (0.58, 0.66, 0.66))
    c.fill(-(y - lerp(-0.18, -0.06, r[0])), (0.50, 0.42, 0.37))
    c.fill(np.abs(y - lerp(-0.18, -0.06, r[0])) - 0.04, (0.90, 0.90, 0.88))
    m = 0.12 * (r[1] - 0.5)
    c.fill(trapezoid(x, y, m, 0.12, 0.98, 0.78, 1.04), (0.78, 0.76, 0.73))
    c.fill(trapezoid(x, y, m, 0.16, 0.94, 0.72, 0.96), (0.97, 0.965, 0.95))
    c.fill(ring(trapezoid(x, y, m, 0.26, 0.84, 0.62, 0.80), 0.025), (0.84, 0.82, 0.79))
    return c.rgb


def studio(x: Array, y: Array, r: R) -> Array:
    """Seamless paper: a light wall that bends into a floor with a soft pool of light."""
    c = Canvas(x, y, len(r[0]), (0.84, 0.85, 0.87), (0.90, 0.90, 0.91))
    bend = 0.30 + 0.06 * (r[0] - 0.5)
    c.rgb -= np.float32(0.06) * np.exp(-np.square((y - bend) / 0.16))[:, None]
    pool = np.clip(1.0 - np.square(x / 0.95) - np.square((y - 0.72) / 0.34), 0, 1)
    c.rgb += np.float32(0.07) * pool[:, None]
    return c.rgb


PAINTERS: dict[str, Callable[[Array, Array, R], Array]] = {name: globals()[name] for name in (*BACKGROUNDS, STUDIO)}
# Liquids rise in front of the subject: (surface level, colour, foam).
LIQUIDS: dict[str, tuple[float, Colour, Colour]] = {
    "water": (0.56, (0.22, 0.50, 0.70), (0.78, 0.91, 0.96)),
    "milk": (0.56, (0.97, 0.95, 0.90), (1.0, 1.0, 1.0)),
}


def background(name: str, x: Array, y: Array, r: Array) -> Array:
    """x, y: (1, H, W); r: (n, 16) uniforms -> rgb (n, 3, H, W); the last four tint it a little."""
    columns = [r[:, i, None, None] for i in range(12)]
    rgb = PAINTERS[name](x, y, columns)
    grey = rgb.mean(axis=1, keepdims=True)
    rgb += (grey - rgb) * np.float32(0.12)
    rgb *= 1.0 + 0.10 * (r[:, 12:15, None, None] - 0.5)
    rgb += 0.06 * (r[:, 15, None, None, None] - 0.5)
    return np.clip(rgb, 0.0, 1.0, out=rgb)
