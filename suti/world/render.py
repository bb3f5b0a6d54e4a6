"""Draws subjects in scenes, vectorised over the batch by class, background and accessory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

from suti.world.accessories import DRESS
from suti.world.backgrounds import LIQUIDS, background
from suti.world.classes import FIGURES, Anchors, Figure
from suti.world.patterns import decal_distance, pattern_distance
from suti.world.scenes import Scene
from suti.world.shapes import Array, box, circle, coverage, ellipse, lerp, paint, polygon, rgb3, uniforms
from suti.world.styles import FILTERS
from suti.world.subjects import Subject, canonical_colour, colour_name
from suti.world.vocabulary import HATS, PHOTO

OUTLINE = np.float32(0.045)
Key = TypeVar("Key")
WORN_OUTLINE = np.float32(0.026)
PIVOT = np.float32(0.10)
CHUNK_PIXELS = 128 * 64**2  # drawn at a time: beyond, arrays leave the cache
SHADE = 0.62  # of a new colour, where the secondary colour was
FIXED: dict[str, tuple[float, float, float]] = {
    "dark": (0.13, 0.11, 0.15),
    "white": (0.97, 0.97, 0.96),
    "glass": (0.74, 0.88, 0.95),
    "flame": (1.0, 0.58, 0.10),
    "glow": (1.0, 0.92, 0.45),
    "tongue": (0.92, 0.40, 0.48),
    "bill": (0.99, 0.62, 0.10),
}


@lru_cache(maxsize=4)
def _grid(size: int) -> tuple[Array, Array]:
    t = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2.0 / size) - np.float32(1)
    x, y = np.meshgrid(t, t)
    return x[None], y[None]


def _groups(keys: Iterable[Key]) -> dict[Key, Array]:
    found: dict[Key, list[int]] = {}
    for i, key in enumerate(keys):
        found.setdefault(key, []).append(i)
    return {key: np.asarray(rows) for key, rows in found.items()}


def worn_colours(subject: Subject, recolour: str | None) -> tuple[tuple[float, float, float], ...]:
    """(primary, secondary, accent) of a subject of another colour.

    The secondary colour becomes a dark shade of the new one, or half of a 'purple dog' could be green. An accent
    that had the new colour takes the old primary, so that decals stay visible.
    """
    if recolour is None or colour_name(subject.primary) == recolour:
        return subject.primary, subject.secondary, subject.accent
    new = canonical_colour(recolour)
    shade = (SHADE * new[0], SHADE * new[1], SHADE * new[2])
    accent = subject.primary if colour_name(subject.accent) == recolour else subject.accent
    return new, shade, accent


def _column(values: Sequence[float]) -> Array:
    return np.asarray(values, np.float32)[:, None, None]


class _Palette:
    """Colours of a group of subjects by layer name; arrays broadcast to (n, 3, H, W)."""

    def __init__(self, subjects: Sequence[Subject], scenes: Sequence[Scene]) -> None:
        worn = np.asarray([worn_colours(s, c.recolour) for s, c in zip(subjects, scenes, strict=True)], np.float32)
        self.colours = {name: rgb3(*rgb) for name, rgb in FIXED.items()}
        for i, name in enumerate(("primary", "secondary", "accent")):
            self.colours[name] = worn[:, i, :, None, None]
        self.colours["tint"] = lerp(self.colours["primary"], rgb3(1, 1, 1), np.float32(0.55))
        self.colours["pale"] = lerp(self.colours["secondary"], rgb3(1, 1, 1), np.float32(0.80))
        self.colours["outline"] = self.colours["primary"] * np.float32(0.28) * rgb3(1.0, 0.95, 1.1)

    def pattern(self, subjects: Sequence[Subject], u: Array, v: Array, pixel: Array) -> None:
        """Adds 'body': the primary colour with the pattern in the secondary colour."""
        n, h, w = u.shape
        shown = np.zeros((n, h, w), np.float32)
        for name, rows in _groups(s.pattern for s in subjects).items():
            if name != "plain":
                scale = _column([subjects[i].pattern_scale for i in rows])
                phase = _column([subjects[i].pattern_phase for i in rows])
                shown[rows] = coverage(pattern_distance(str(name), u[rows], v[rows], scale, phase), pixel[rows])
        delta = self.colours["secondary"] - self.colours["primary"]
        self.colours["body"] = self.colours["primary"] + delta * shown[:, None]


def _paint_figure(
    rgb: Array, fig: Figure, palette: _Palette, subjects: Sequence[Subject], u: Array, v: Array, pixel: Array
) -> None:
    for distance, name in fig.layers:
        paint(rgb, palette.colours[name], coverage(distance, pixel))
    x, y, w, h = fig.anchors.body
    shape = (len(subjects), 1, 1)
    radius = np.broadcast_to(np.clip(np.minimum(w, h) * 0.72, 0.15, 0.20), shape)
    x, y = np.broadcast_to(x, shape), np.broadcast_to(y, shape)
    for name, rows in _groups(s.decal for s in subjects).items():
        if name == "none" or subjects[0].class_name == "clock":
            continue
        d = decal_distance(str(name), u[rows], v[rows], x[rows], y[rows], radius[rows])
        part = rgb[rows]
        edge = coverage(d - 0.04, pixel[rows])
        inner = coverage(d, pixel[rows])
        paint(part, palette.colours["outline"][rows], edge)
        paint(part, palette.colours["accent"][rows], inner)
        rgb[rows] = part


def _cube(u: Array, v: Array) -> tuple[Figure, Array, Array]:
    """A box seen from the front right; the front face is the square |u + .1| < .5 around v = .22."""
    front = box(u, v, -0.12, 0.21, 0.54, 0.54)
    top = polygon(u, v, (-0.42, -0.55), (0.66, -0.55), (0.42, -0.33), (-0.66, -0.33))
    side = polygon(u, v, (0.42, -0.33), (0.66, -0.55), (0.66, 0.50), (0.42, 0.75))
    fig = Figure(Anchors((-0.02, -0.48, 0.40), (-0.12, 0.06, 0.20, 0.14), (-0.12, 0.16, 0.5), (-0.12, 0.30, 0.5, 0.42)))
    fig.add(front, "body")
    fig.add(box(u, v, -0.12, 0.21, 0.43, 0.43, 0.06), "tint", inner=True)
    fig.add(top, "tint")
    fig.add(side, "shade")
    return fig, u, v


def _draw_subjects(
    subjects: Sequence[Subject], scenes: Sequence[Scene], u: Array, v: Array, pixel: Array
) -> tuple[Array, Array, Anchors, Array]:
    """One class, one kind of effect. Returns rgb (n, 3, H, W), alpha (n, H, W), anchors, distance."""
    palette = _Palette(subjects, scenes)
    proportions = np.asarray([s.proportions for s in subjects], np.float32)
    p = [proportions[:, i, None, None] for i in range(proportions.shape[1])]
    make = FIGURES[subjects[0].class_name]
    n, h, w = u.shape
    rgb = np.empty((n, 3, h, w), np.float32)
    rgb[:] = palette.colours["outline"]
    if scenes[0].effect == "cube_shaped":
        palette.pattern(subjects, u, v, pixel)
        palette.colours["shade"] = palette.colours["primary"] * np.float32(0.62)
        cube, _, _ = _cube(u, v)
        for distance, name in cube.layers:
            paint(rgb, palette.colours[name], coverage(distance + 0.012, pixel))
        small, lu, lv = np.float32(0.60), (u + 0.12) / np.float32(0.60), (v - 0.17) / np.float32(0.60)
        face = make(lu, lv, p)
        palette.pattern(subjects, lu, lv, pixel / small)
        assert face.union is not None and cube.union is not None
        paint(rgb, palette.colours["outline"], coverage(face.union - OUTLINE * 1.5, pixel / small))
        _paint_figure(rgb, face, palette, subjects, lu, lv, pixel / small)
        fig = cube
    else:
        fig = make(u, v, p)
        palette.pattern(subjects, u, v, pixel)
        _paint_figure(rgb, fig, palette, subjects, u, v, pixel)
    assert fig.union is not None
    shade = np.float32(1.06) - np.float32(0.13) * v - np.float32(0.05) * u
    rgb *= shade[:, None]
    distance = fig.union
    if scenes[0].effect == "shiny":
        _shine(rgb, distance, u, v, pixel)
    elif scenes[0].effect == "wet":
        _wet(rgb, distance, u, v, pixel)
    return rgb, coverage(distance - OUTLINE, pixel), fig.anchors, distance


def _shine(rgb: Array, distance: Array, u: Array, v: Array, pixel: Array) -> None:
    """Darker edges, two white glints across the body and bright contrast."""
    rgb -= (1 - np.clip(-distance * 5, 0, 1))[:, None] * np.float32(0.22) * rgb
    slant = u + 0.75 * v
    inside = distance + 0.03
    for centre, width in ((-0.18, 0.065), (0.03, 0.03)):
        band = np.maximum(np.abs(slant - centre) * np.float32(0.8) - width, inside)
        paint(rgb, rgb3(1, 1, 1), coverage(band, pixel) * np.float32(0.88))


def _sparkles(rgb: Array, u: Array, v: Array, pixel: Array) -> Array:
    """Four-pointed stars around a shiny subject; returns their coverage."""
    d = None
    for x, y, r in ((-0.55, -0.42, 0.26), (0.60, -0.28, 0.20), (0.52, 0.52, 0.17)):
        au, av = np.abs(u - x), np.abs(v - y)
        s = np.minimum(au + 4.5 * av, av + 4.5 * au) / np.float32(4.6) - np.float32(r / 4.6) * 1.0
        d = s if d is None else np.minimum(d, s)
    assert d is not None
    alpha = coverage(d, pixel)
    paint(rgb, rgb3(1.0, 1.0, 0.96), alpha)
    return alpha


# Drops on a wet subject, and those that fall off it: x, y, size.
DROPS = (
    (-0.34, -0.10, 1.0),
    (0.06, -0.34, 0.9),
    (0.36, 0.02, 1.1),
    (-0.20, 0.16, 0.8),
    (0.24, 0.40, 1.0),
    (-0.40, 0.46, 0.9),
    (0.46, -0.34, 0.8),
    (-0.02, 0.62, 0.8),
)
FALLING = ((-0.78, 0.10, 1.0), (0.80, -0.12, 0.9), (-0.66, -0.44, 0.8), (0.72, 0.44, 1.0), (0.62, -0.56, 0.7))


def _wet(rgb: Array, distance: Array, u: Array, v: Array, pixel: Array) -> None:
    """A little darker, of the same hue, with drops."""
    rgb *= np.float32(0.84)
    _drops(rgb, DROPS, distance + 0.01, u, v, pixel)


def _drops(
    rgb: Array, drops: Sequence[tuple[float, float, float]], limit: Array | None, u: Array, v: Array, pixel: Array
) -> Array:
    """Light blue drops with a dark rim and a glint, inside `limit` if given; returns their coverage."""
    body = glint = None
    for x, y, size in drops:
        round_end = circle(u, v, x, y, 0.085 * size)
        tip = polygon(
            u, v, (x, y - 0.20 * size), (x + 0.075 * size, y - 0.035 * size), (x - 0.075 * size, y - 0.035 * size)
        )
        d, g = np.minimum(round_end, tip), circle(u, v, x - 0.025 * size, y, 0.03 * size)
        body = d if body is None else np.minimum(body, d)
        glint = g if glint is None else np.minimum(glint, g)
    assert body is not None and glint is not None
    if limit is not None:
        body = np.maximum(body, limit)
    rim = coverage(body - 0.028, pixel)
    paint(rgb, rgb3(0.10, 0.28, 0.50), rim)
    paint(rgb, rgb3(0.55, 0.84, 1.0), coverage(body, pixel))
    paint(rgb, rgb3(1, 1, 1), coverage(np.maximum(glint, body), pixel))
    return rim


def _ground(rgb: Array, scenes: Sequence[Scene], x: Array, y: Array, px: Array, py: Array, s: Array) -> None:
    """Soft shadow under the subject, or a puddle under a wet one."""
    ex, ey = (x - px) / (0.70 * s), (y - py) / (0.13 * s)
    shadow = np.clip(1.15 - (ex * ex + ey * ey), 0, 1) * np.float32(0.38)
    paint(rgb, rgb * np.float32(0.25), shadow)
    wet = np.flatnonzero([c.effect == "wet" for c in scenes])
    if len(wet):
        part = rgb[wet]
        pixel = np.float32(2.0 / x.shape[-1])
        puddle = ellipse(x, y, px[wet], py[wet] + 0.05, 0.86 * s[wet], 0.17 * s[wet])
        paint(part, rgb3(0.42, 0.66, 0.84), coverage(puddle, pixel) * np.float32(0.9))
        glint = ellipse(x, y, px[wet] - 0.5 * s[wet], py[wet] + 0.05, 0.16 * s[wet], 0.04)
        paint(part, rgb3(0.92, 0.97, 1.0), coverage(glint, pixel))
        rgb[wet] = part


def render(subjects: Sequence[Subject], scenes: Sequence[Scene], size: int = 64) -> tuple[Array, Array]:
    """Draws subject i in scene i.

    Returns images, uint8 (N, size, size, 3) in RGB, and masks, float32 (N, size, size) in [0, 1]: the share
    of each pixel that shows the subject or what it wears. size must be a multiple of 32. An image depends
    on its own subject and scene only.
    """
    if len(subjects) != len(scenes):
        raise ValueError(f"render: {len(subjects)} subjects but {len(scenes)} scenes; give one scene a subject")
    if size % 32:
        raise ValueError(f"render: size {size} is not a multiple of 32, which the styles' grain needs")
    n = len(subjects)
    images = np.empty((n, size, size, 3), np.uint8)
    masks = np.empty((n, size, size), np.float32)
    # Pictures of one class and effect are drawn together, so neighbours of a kind make few, large groups.
    order = sorted(range(n), key=lambda i: (subjects[i].class_name, scenes[i].effect or "", i))
    chunk = max(4, CHUNK_PIXELS // size**2)
    for start in range(0, n, chunk):
        rows = order[start : start + chunk]
        images[rows], masks[rows] = _render([subjects[i] for i in rows], [scenes[i] for i in rows], size)
    return images, masks


def _render(subjects: Sequence[Subject], scenes: Sequence[Scene], size: int) -> tuple[Array, Array]:
    n, (x, y) = len(subjects), _grid(size)
    rgb = np.empty((n, 3, size, size), np.float32)
    masks = np.zeros((n, size, size), np.float32)
    r = uniforms(np.asarray([c.background_seed for c in scenes], np.uint64), 16)
    for name, rows in _groups(c.background for c in scenes).items():
        rgb[rows] = background(str(name), x, y, r[rows])

    hat = np.asarray([c.accessory in HATS for c in scenes])
    poses = np.asarray([(c.pose.x, c.pose.y, c.pose.scale, c.pose.rotation) for c in scenes], np.float32)
    px, py, s, turn = (poses[:, i, None, None] for i in range(4))
    s = s * np.where(hat, 0.90, 1.0).astype(np.float32)[:, None, None]
    py = py + np.where(hat, 0.06, 0.0).astype(np.float32)[:, None, None] + PIVOT
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    pixel = np.float32(2.0 / size) / s
    _ground(rgb, scenes, x, y, px, py + 0.64 * s, s)

    for _, rows in _groups((q.class_name, c.effect) for q, c in zip(subjects, scenes, strict=True)).items():
        dx, dy = (x - px[rows]) / s[rows], (y - py[rows]) / s[rows]
        u = dx * cos[rows] + dy * sin[rows]
        v = dy * cos[rows] - dx * sin[rows] + PIVOT
        own, theirs = [subjects[i] for i in rows], [scenes[i] for i in rows]
        drawn, alpha, anchors, distance = _draw_subjects(own, theirs, u, v, pixel[rows])
        for name, worn in _groups(c.accessory for c in theirs).items():
            if name is not None:
                _dress(str(name), drawn, alpha, anchors, distance, u, v, pixel[rows], worn)
        np.clip(drawn, 0, 1, out=drawn)
        part = rgb[rows]
        paint(part, drawn, alpha)
        if theirs[0].effect == "shiny":
            _sparkles(part, u, v, pixel[rows])
        elif theirs[0].effect == "wet":
            _drops(part, FALLING, None, u, v, pixel[rows])
        rgb[rows], masks[rows] = part, alpha

    for name, rows in _groups(c.background for c in scenes).items():
        if name in LIQUIDS:
            _flood(str(name), rgb, masks, rows, x, y, r, py, s)
    for name, rows in _groups(c.style for c in scenes).items():
        if name != PHOTO:
            rgb[rows] = FILTERS[str(name)](rgb[rows], masks[rows], r[rows])
    rgb *= 255
    rgb += 0.5
    np.clip(rgb, 0, 255, out=rgb)
    return rgb.astype(np.uint8).transpose(0, 2, 3, 1), masks


def _dress(
    name: str,
    rgb: Array,
    alpha: Array,
    anchors: Anchors,
    distance: Array,
    u: Array,
    v: Array,
    pixel: Array,
    rows: Array,
) -> None:
    """Paints one accessory with a dark outline on the pictures `rows` of a group, and grows their alpha."""
    n = len(u)

    def pick(values: tuple) -> tuple:
        return tuple(np.broadcast_to(np.asarray(a, np.float32), (n, 1, 1))[rows] for a in values)

    own = Anchors(pick(anchors.head), pick(anchors.eyes), pick(anchors.neck), pick(anchors.body))
    layers = DRESS[name](u[rows], v[rows], own, distance[rows])
    part, shown, px = rgb[rows], alpha[rows], pixel[rows]
    union = layers[0][0]
    for d, _ in layers[1:]:
        union = np.minimum(union, d)
    edge = coverage(union - WORN_OUTLINE, px)
    paint(part, rgb3(0.12, 0.10, 0.14), edge)
    for d, colour in layers:
        paint(part, rgb3(*colour), coverage(d, px))
    rgb[rows] = part
    alpha[rows] = np.maximum(shown, edge)


def _flood(name: str, rgb: Array, masks: Array, rows: Array, x: Array, y: Array, r: Array, py: Array, s: Array) -> None:
    """Lets the liquid rise in front of the subject's foot."""
    level, colour, foam = LIQUIDS[name]
    pixel = np.float32(2.0 / x.shape[-1])
    surface = y - (py[rows] + (level - PIVOT) * s[rows]) - 0.03 * np.sin(7 * x + 6.28 * r[rows, 7, None, None])
    part = rgb[rows]
    cover = coverage(-surface, pixel) * np.float32(0.80) * np.clip(masks[rows] * 1.5, 0, 1)
    paint(part, rgb3(*colour), cover)
    line = coverage(np.abs(surface) - 0.035, pixel) * (np.abs(x) < 0.95)
    paint(part, rgb3(*foam), line * np.float32(0.75))
    rgb[rows] = part
    masks[rows] *= 1 - coverage(-surface, pixel) * np.float32(0.80)
