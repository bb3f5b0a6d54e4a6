"""Identities: what stays the same when one subject is photographed again."""

from __future__ import annotations

import colorsys
import hashlib
from dataclasses import dataclass

import numpy as np

from suti.world.vocabulary import CLASSES, COLOURS, DECALS, PATTERNS

RGB = tuple[float, float, float]
NUM_PROPORTIONS = 6


@dataclass(frozen=True)
class Subject:
    """One individual object or animal.

    primary, secondary, accent: RGB in [0, 1]. pattern_scale: in [0, 1], fine to coarse. pattern_phase: in
    [0, 1). proportions: six floats in [0, 1]; each class gives them its own meaning (see
    `suti/world/classes.py`).
    """

    subject_id: str
    class_name: str
    primary: RGB
    secondary: RGB
    accent: RGB
    pattern: str
    pattern_scale: float
    pattern_phase: float
    decal: str
    proportions: tuple[float, ...]


def keyed_rng(*key: object) -> np.random.Generator:
    """A generator that depends on the key alone, not on process, order or platform."""
    digest = hashlib.blake2b("/".join(str(part) for part in key).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def sample_colour(rng: np.random.Generator, name: str) -> RGB:
    """A shade of the named colour: RGB in [0, 1]."""
    hue, saturation, value = (rng.uniform(*bounds) for bounds in COLOURS[name])
    return tuple(round(c, 4) for c in colorsys.hsv_to_rgb(hue % 1.0, saturation, value))  # type: ignore[return-value]


def canonical_colour(name: str) -> RGB:
    """The middle shade of the named colour, used for 'a red teapot'."""
    hue, saturation, value = (sum(bounds) / 2 for bounds in COLOURS[name])
    return colorsys.hsv_to_rgb(hue % 1.0, saturation, value)


def colour_name(rgb: RGB) -> str:
    """The name in COLOURS whose middle shade is nearest in hue, saturation and value."""
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
    if saturation < 0.12:
        return "white"

    def distance(name: str) -> float:
        (h0, h1), (s0, s1), (v0, v1) = COLOURS[name]
        turn = abs((hue - (h0 + h1) / 2 + 0.5) % 1.0 - 0.5)
        return 6 * turn + 0.6 * abs(saturation - (s0 + s1) / 2) + abs(value - (v0 + v1) / 2)

    return min((name for name in COLOURS if name != "white"), key=distance)


def sample_subject(seed: int | str, index: int, class_name: str | None = None) -> Subject:
    """The subject number `index` of the seed space `seed`; deterministic, independent of order and process.

    `class_name` None draws a class; a given class changes the class alone, not the other draws.
    """
    rng = keyed_rng("subject", seed, index)
    drawn = CLASSES[int(rng.integers(len(CLASSES)))]
    names = rng.permutation(list(COLOURS))[:3]
    primary, secondary, accent = (sample_colour(rng, str(name)) for name in names)
    pattern = str(rng.choice(PATTERNS, p=[0.28, 0.17, 0.12, 0.17, 0.13, 0.13]))
    decal = str(rng.choice(DECALS, p=[0.32, 0.17, 0.17, 0.17, 0.17]))
    scale, phase, *proportions = (round(float(x), 4) for x in rng.uniform(size=2 + NUM_PROPORTIONS))
    class_name = class_name or drawn
    if class_name not in CLASSES:
        raise ValueError(f"class_name: {class_name!r} is unknown; choose one of {', '.join(CLASSES)}")
    return Subject(
        f"{class_name}-{seed}-{index:06d}",
        class_name,
        primary,
        secondary,
        accent,
        pattern,
        scale,
        phase,
        decal,
        tuple(proportions),
    )
