"""Signed distances (negative inside) in scene units, vectorised over a batch, and anti-aliased coverage.

u, v: (n, H, W) or (1, H, W) float32 coordinates; every other parameter is a float or broadcasts as (n, 1, 1).
Distances are exact or close to exact near the edge, which is all that coverage needs.
"""

from __future__ import annotations

from typing import overload

import numpy as np

Array = np.ndarray
Number = float | np.floating | Array


@overload
def lerp(a: Number, b: Number, t: Array) -> Array: ...
@overload
def lerp(a: Array, b: Array, t: Number) -> Array: ...
def lerp(a: Number, b: Number, t: Number) -> Number:
    """a at t = 0, b at t = 1."""
    return a + (b - a) * t


def coverage(distance: Array, pixel: Number) -> Array:
    """Share of a pixel inside the shape, in [0, 1]; pixel: its width in the units of the distance."""
    a = distance * (-1.0 / pixel)
    a += 0.5
    return np.clip(a, 0.0, 1.0, out=a)


def circle(u: Array, v: Array, x: Number, y: Number, r: Number) -> Array:
    du, dv = u - x, v - y
    return np.sqrt(du * du + dv * dv) - r


def ellipse(u: Array, v: Array, x: Number, y: Number, rx: Number, ry: Number) -> Array:
    """First-order distance k0 (k0 - 1) / k1, good near the edge."""
    a, b = (u - x) / rx, (v - y) / ry
    a2, b2 = a * a, b * b
    k0 = np.sqrt(a2 + b2)
    k1 = np.sqrt(a2 / (rx * rx) + b2 / (ry * ry)) + 1e-5
    return k0 * (k0 - 1.0) / k1


def box(u: Array, v: Array, x: Number, y: Number, hw: Number, hh: Number, r: Number = 0.0) -> Array:
    """Rectangle of half width hw and half height hh with corners rounded by r."""
    du, dv = np.abs(u - x) - (hw - r), np.abs(v - y) - (hh - r)
    inside = np.minimum(np.maximum(du, dv), 0.0)
    if isinstance(r, float) and r == 0.0:
        return np.maximum(du, dv)
    np.maximum(du, 0.0, out=du)
    np.maximum(dv, 0.0, out=dv)
    return np.sqrt(du * du + dv * dv) + inside - r


def capsule(
    u: Array, v: Array, ax: Number, ay: Number, bx: Number, by: Number, ra: Number, rb: Number | None = None
) -> Array:
    """Thick line from a to b; its radius goes from ra to rb."""
    ex, ey = bx - ax, by - ay
    pu, pv = u - ax, v - ay
    h = np.clip((pu * ex + pv * ey) / (ex * ex + ey * ey), 0.0, 1.0)
    du, dv = pu - h * ex, pv - h * ey
    radius = ra if rb is None else ra + (rb - ra) * h
    return np.sqrt(du * du + dv * dv) - radius


def polygon(u: Array, v: Array, *points: tuple[Number, Number]) -> Array:
    """Convex polygon, corners in clockwise order on the screen (y down)."""
    normals = []
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
        ex, ey = bx - ax, by - ay
        length = np.sqrt(ex * ex + ey * ey) + 1e-6
        normals.append((ey / length, -ex / length))
    d = None
    for i, (x, y) in enumerate(points):
        nx, ny = normals[i]
        du, dv = u - x, v - y
        edge = du * nx + dv * ny
        # A plane across the corner: it leaves the shape alone and blunts the outline around it.
        bx, by = nx + normals[i - 1][0], ny + normals[i - 1][1]
        length = np.sqrt(bx * bx + by * by) + 1e-6
        edge = np.maximum(edge, du * (bx / length) + dv * (by / length))
        d = edge if d is None else np.maximum(d, edge)
    assert d is not None
    return d


def trapezoid(u: Array, v: Array, x: Number, top: Number, bottom: Number, hw_top: Number, hw_bottom: Number) -> Array:
    """Symmetric about x, flat top and bottom."""
    return polygon(u, v, (x - hw_top, top), (x + hw_top, top), (x + hw_bottom, bottom), (x - hw_bottom, bottom))


def ring(distance: Array, half_width: Number) -> Array:
    """The outline of a shape as a band."""
    return np.abs(distance) - half_width


def heart(u: Array, v: Array, x: Number, y: Number, r: Number) -> Array:
    au, dv = np.abs(u - x), v - y
    lobes = circle(au, dv, 0.45 * r, -0.3 * r, 0.55 * r)
    tip = (au + dv - 0.85 * r) * 0.7071
    return np.minimum(lobes, np.maximum(tip, np.maximum(-0.15 * r - dv, au - 0.84 * r)))


def star(u: Array, v: Array, x: Number, y: Number, r: Number) -> Array:
    """Five-pointed, one point up."""
    du, dv = u - x, v - y
    sector = np.float32(2 * np.pi / 5)
    angle = np.abs((np.arctan2(du, -dv) + sector / 2) % sector - sector / 2)
    length = np.sqrt(du * du + dv * dv)
    px, py = length * np.cos(angle), length * np.sin(angle)
    # Edge from the tip (r, 0) to the notch at (.5 r, half a sector).
    nx, ny = 0.45 * np.cos(np.pi / 5), 0.45 * np.sin(np.pi / 5)
    ex, ey = nx - 1.0, ny
    norm = float(np.hypot(ex, ey))
    return (px - r) * np.float32(ey / norm) - py * np.float32(ex / norm)


def triangle_wave(x: Array) -> Array:
    """Period 1; 0 at integers, .5 half way: distance to the nearest integer."""
    return np.abs(x - np.rint(x))


def stripes(x: Array, period: Number, share: Number = 0.5) -> Array:
    """Signed distance to bands across x, each `share` of the period wide, centred at multiples of it."""
    return triangle_wave(x / period) * period - 0.5 * share * period


def paint(rgb: Array, colour: Array, alpha: Array) -> None:
    """Blends in place. rgb: (n, 3, H, W), colour: broadcasts to it, alpha: (n or 1, H, W) in [0, 1]."""
    delta = colour - rgb
    delta *= alpha[:, None]
    rgb += delta


def rgb3(*colour: float) -> Array:
    """A constant colour as (1, 3, 1, 1) float32."""
    return np.asarray(colour, np.float32).reshape(1, 3, 1, 1)


def uniforms(seeds: Array, count: int) -> Array:
    """seeds: (n,) uint64 -> (n, count) float32 in [0, 1), by splitmix64: a generator per image is slow."""
    with np.errstate(over="ignore"):
        steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = seeds.astype(np.uint64)[:, None] * np.uint64(0xD1342543DE82EF95) + steps[None]
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float32)) * np.float32(2.0**-24)
