"""What the backgrounds share: a canvas painted from back to front, scattered discs, tree trunks, pines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from suti.world.shapes import Array, Number, box, circle, coverage, lerp, paint, polygon, rgb3

R = Sequence[Array]
Colour = tuple[float, float, float]


class Canvas:
    """A batch of pictures being painted from back to front."""

    def __init__(self, x: Array, y: Array, n: int, top: Colour, bottom: Colour | None = None) -> None:
        self.px = np.float32(2.0 / x.shape[-1])
        shade = ((y + 1) / 2)[:, None]
        self.rgb = np.empty((n, 3, *x.shape[1:]), np.float32)
        self.rgb[:] = lerp(rgb3(*top), rgb3(*(bottom or top)), shade)

    def fill(self, distance: Array, colour: Colour | Array, opacity: float = 1.0) -> None:
        alpha = coverage(distance, self.px)
        if opacity != 1.0:
            alpha *= np.float32(opacity)
        paint(self.rgb, rgb3(*colour) if isinstance(colour, tuple) else colour, alpha)


def cell_noise(a: Array, b: Array, k: Number) -> Array:
    """Pseudo-random numbers in [0, 1) for the integer cell (a, b) and the key k in [0, 1)."""
    s = np.sin(a * np.float32(12.9898) + b * np.float32(78.233) + k * np.float32(37.719)) * np.float32(437.585)
    return s - np.floor(s)


def flakes(x: Array, y: Array, key: Array, cell: float, radius: float, chance: float) -> Array:
    """Distance to discs scattered one a cell."""
    cx, cy = np.floor(x / cell), np.floor(y / cell)
    dx = (cell_noise(cx, cy, key) - 0.5) * (cell - 2 * radius)
    dy = (cell_noise(cx, cy, key + 3.1) - 0.5) * (cell - 2 * radius)
    d = circle(x, y, (cx + 0.5) * cell + dx, (cy + 0.5) * cell + dy, radius)
    return np.where(cell_noise(cx, cy, key + 7.7) < chance, d, np.float32(1.0))


def trunks(c: Canvas, x: Array, y: Array, r: R, colour: Colour, bottom: float, width: float = 0.09) -> None:
    for i, place in enumerate((-0.85, -0.45, 0.05, 0.5, 0.88)):
        c.fill(box(x, y, place + 0.12 * (r[i] - 0.5), -1.0, width, bottom + 1.0), colour)


def pine(c: Canvas, x: Array, y: Array, px: Number, base: float, size: float, colour: Colour, snow: bool) -> None:
    for i in range(3):
        low = base - 0.5 * size * i
        w = size * (0.46 - 0.1 * i)
        c.fill(polygon(x, y, (px, low - 0.8 * size), (px + w, low), (px - w, low)), colour)
        if snow:
            top, edge = low - 0.8 * size, low - 0.4 * size
            c.fill(polygon(x, y, (px, top), (px + w * 0.5, edge), (px - w * 0.5, edge)), (0.97, 0.98, 1.0))
