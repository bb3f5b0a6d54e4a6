"""Patterns on the body and decals at its centre, as signed distances."""

from __future__ import annotations

import numpy as np

from suti.world.shapes import Array, Number, circle, heart, lerp, star, stripes


def pattern_distance(name: str, u: Array, v: Array, scale: Array, phase: Array) -> Array:
    """Negative where the secondary colour shows. scale, phase: (n, 1, 1) in [0, 1]."""
    period = lerp(0.24, 0.36, scale)
    v = v + phase * period
    if name == "stripes":
        return stripes(v, period, 0.45)
    if name == "pinstripes":
        return stripes(u + phase * period, period * 0.8, 0.40)
    if name == "dots":
        cu, cv = u / period, v / period
        cu = cu + 0.5 * (np.rint(cv) % 2)
        return circle((cu - np.rint(cu)) * period, (cv - np.rint(cv)) * period, 0, 0, 0.30 * period)
    if name == "checks":
        a, b = stripes(u, 1.2 * period, 0.5), stripes(v, 1.2 * period, 0.5)
        return np.maximum(np.minimum(a, b), -np.maximum(a, b))
    return np.abs(v - phase * period - lerp(0.22, 0.42, phase)) - lerp(0.09, 0.15, scale)


def decal_distance(name: str, u: Array, v: Array, x: Number, y: Number, r: Number) -> Array:
    """The decal's shape of radius r at (x, y)."""
    if name == "heart":
        return heart(u, v, x, y, r * 1.1)
    if name == "star":
        return star(u, v, x, y, r * 1.25)
    if name == "circle":
        return circle(u, v, x, y, r * 0.9)
    return (np.abs(u - x) + np.abs(v - y) - r * 1.1) * np.float32(0.7071)
