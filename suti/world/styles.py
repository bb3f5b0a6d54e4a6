"""Styles as filters of a finished picture; their grain is in scene units, so 64 and 256 px agree.

rgb: (n, 3, H, W) in [0, 1]; mask: (n, H, W); r: (n, 16) uniforms. The filters return a new rgb.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from suti.world.shapes import Array, coverage, rgb3, triangle_wave


def blur(a: Array, radius: int) -> Array:
    """Box blur of the last two axes, (2 radius + 1) wide, with replicated borders."""
    for axis in (-1, -2):
        pad = [(0, 0)] * a.ndim
        pad[axis] = (radius + 1, radius)
        c = np.cumsum(np.pad(a, pad, mode="edge"), axis=axis, dtype=np.float32)
        size = a.shape[axis]
        high = np.take(c, range(2 * radius + 1, 2 * radius + 1 + size), axis=axis)
        a = (high - np.take(c, range(size), axis=axis)) * np.float32(1.0 / (2 * radius + 1))
    return a


def _grid(size: int) -> tuple[Array, Array]:
    t = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(2.0 / size) - 1
    return t[None, None, :], t[None, :, None]


def _luminance(rgb: Array) -> Array:
    return 0.30 * rgb[:, 0] + 0.59 * rgb[:, 1] + 0.11 * rgb[:, 2]


def _step(size: int) -> int:
    """Pixels of a 64th of the frame, the unit of lines and blurs."""
    return max(1, size // 64)


def _edges(rgb: Array) -> Array:
    """Strength of the strongest edge over the channels, (n, H, W) in [0, 1], as lines a 32nd of the frame wide."""
    s = _step(rgb.shape[-1])
    p = np.pad(rgb, ((0, 0), (0, 0), (s, s), (s, s)), mode="edge")
    gx = np.abs(p[:, :, s:-s, 2 * s :] - p[:, :, s:-s, : -2 * s])
    gx += np.abs(p[:, :, 2 * s :, s:-s] - p[:, :, : -2 * s, s:-s])
    return np.clip(gx.max(axis=1) * np.float32(0.9), 0, 1)


def pencil_sketch(rgb: Array, mask: Array, r: Array) -> Array:
    """Lines and hatching in grey on paper, without colours."""
    x, y = _grid(rgb.shape[-1])
    light = _luminance(rgb)
    paper = 0.97 - (0.08 + 0.20 * mask) * (1 - light)
    hatch = 0.5 + 0.5 * np.cos((x + y) * np.float32(2 * np.pi / 0.19) + 6.28 * r[:, 0, None, None])
    paper = paper - hatch * np.clip(0.78 - light, 0, 1) * (0.14 + 0.26 * mask)
    paper -= _edges(rgb) * (0.42 + 0.38 * mask)
    return paper[:, None] * rgb3(1.0, 0.99, 0.965)


def pixel_art(rgb: Array, mask: Array, r: Array) -> Array:
    block = rgb.shape[-1] // 16
    n, c, h, w = rgb.shape
    small = rgb.reshape(n, c, h // block, block, w // block, block).mean(axis=(3, 5))
    small = np.clip(0.5 + (small - 0.5) * 1.12, 0, 1)
    soft = small * 5
    soft = (np.floor(soft) + np.clip((soft - np.floor(soft) - 0.5) * 3 + 0.5, 0, 1)) / 5
    return np.repeat(np.repeat(soft, block, axis=2), block, axis=3)


def watercolor(rgb: Array, mask: Array, r: Array) -> Array:
    x, y = _grid(rgb.shape[-1])
    soft = blur(rgb, _step(rgb.shape[-1]))
    soft += (rgb - soft) * (0.10 + 0.65 * mask)[:, None]
    phase = 6.28 * r[:, :6, None, None]
    blot = np.sin(4.1 * x + 2.3 * y + phase[:, 0]) * np.sin(3.3 * y - 2.9 * x + phase[:, 1])
    blot += 0.6 * np.sin(8.7 * x + phase[:, 2]) * np.sin(7.9 * y + phase[:, 3])
    wash = np.clip(0.66 + 0.16 * blot + 0.24 * mask, 0, 1)
    wash *= 1 - 0.95 * np.clip(
        (np.maximum(np.abs(x), np.abs(y)) + 0.07 * np.sin(7 * (x + y) + phase[:, 4]) - 0.84) * 5, 0, 1
    )
    paper = rgb3(0.985, 0.975, 0.95)
    out = paper + (soft - paper) * wash[:, None]
    return out * (1 - 0.22 * _edges(soft))[:, None]


def pop_art(rgb: Array, mask: Array, r: Array) -> Array:
    x, y = _grid(rgb.shape[-1])
    px = 2.0 / rgb.shape[-1]
    light = _luminance(rgb)[:, None]
    vivid = np.clip(light + (rgb - light) * 1.7, 0, 1)
    vivid = np.clip(0.5 + (vivid - 0.5) * 1.45, 0, 1)
    inks = np.asarray([(1.0, 0.86, 0.10), (0.10, 0.80, 0.86), (1.0, 0.42, 0.70), (0.62, 0.90, 0.22)], np.float32)
    ink = inks[(r[:, 0] * 4).astype(int)][:, :, None, None]
    tone = np.clip((light - 0.15) * 1.5, 0, 1)
    back = ink * (0.25 + 0.75 * tone) * 0.6 + vivid * 0.4
    cu, cv = triangle_wave((x + y) / 0.36) * 0.36, triangle_wave((x - y) / 0.36) * 0.36
    dots = coverage(np.sqrt(cu * cu + cv * cv) * 0.7071 - 0.07, px)
    back = back + (1 - back) * 0.45 * dots[:, None]
    out = back + (vivid - back) * mask[:, None]
    halo = np.clip(blur(mask, 2 * _step(rgb.shape[-1])) * 2.5, 0, 1) * (1 - mask)
    return out * (1 - 0.9 * halo)[:, None]


FILTERS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "pencil_sketch": pencil_sketch,
    "pixel_art": pixel_art,
    "watercolor": watercolor,
    "pop_art": pop_art,
}
