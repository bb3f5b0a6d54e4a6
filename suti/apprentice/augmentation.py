"""Demonstrations as snapshots: turned, nearer or farther, partly out of the frame.

Pages show a subject whole and in the middle; the pictures that people take of theirs do not. An apprentice that has
only seen the former copies what is cut off or tilted in the latter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Limits:
    """How far a view goes at strength 1.

    Attributes:
        turn: degrees to either side.
        zoom: of the logarithm of the size, to either side of ``nearer``, by which snapshots are nearer on average.
        shift: of half the width, of half the height.
    """

    turn: float = 16.0
    zoom: float = 0.42
    nearer: float = 0.12
    shift: tuple[float, float] = (0.36, 0.25)


SNAPSHOT = Limits()


def snapshot(picture: np.ndarray, strength: float, rng: np.random.Generator, limits: Limits = SNAPSHOT) -> np.ndarray:
    """The picture seen otherwise, uint8 ``(H, W, 3)`` as it was; what lies outside of it is its mirror image.

    Turn, size and shift are uniform within limits that grow with the view's own strength, which is uniform in
    [0, ``strength``]; 0 returns the picture. The number of draws is fixed.
    """
    own, turn, zoom, right, down = rng.uniform(size=5)
    own *= strength
    if own == 0:
        return picture
    height, width = picture.shape[:2]
    angle = math.radians(limits.turn * own * (2 * turn - 1))
    size = math.exp(own * (limits.nearer + limits.zoom * (2 * zoom - 1)))
    x = width / 2 * (1 + limits.shift[0] * own * (2 * right - 1))
    y = height / 2 * (1 + limits.shift[1] * own * (2 * down - 1))
    border = np.pad(picture, ((height, height), (width, width), (0, 0)), mode="symmetric")
    # Pillow wants, for a place of the result, the place of the source.
    cos, sin = math.cos(angle) / size, math.sin(angle) / size
    source = (cos, sin, 1.5 * width - cos * x - sin * y, -sin, cos, 1.5 * height + sin * x - cos * y)
    moved = Image.fromarray(border).transform(
        (width, height), Image.Transform.AFFINE, source, resample=Image.Resampling.BICUBIC
    )
    return np.asarray(moved)
