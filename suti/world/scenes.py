"""Scenes: what changes from one picture of a subject to the next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from suti.world.vocabulary import ACCESSORIES, BACKGROUNDS, COLOURS, EFFECTS, PHOTO, STYLES


@dataclass(frozen=True)
class Pose:
    """x, y: shift in scene units (the frame is [-1, 1], y down); rotation in degrees; flip mirrors x."""

    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    rotation: float = 0.0
    flip: bool = False


@dataclass(frozen=True)
class Scene:
    """One picture without its subject. `recolour` names the new primary colour; `effect` is in EFFECTS."""

    background: str
    accessory: str | None = None
    style: str = PHOTO
    recolour: str | None = None
    effect: str | None = None
    pose: Pose = Pose()
    background_seed: int = 0


class _Draw:
    """Marks a field that is to be drawn, as None is a value of some fields."""


DRAW: Final = _Draw()


def sample_pose(rng: np.random.Generator) -> Pose:
    """A gentle pose: +-8 degrees, scale .9-1.1, shift below .1 of the half frame."""
    x, y, scale, rotation, flip = rng.uniform(size=5)
    return Pose(
        x=round(0.24 * x - 0.12, 4),
        y=round(0.10 * y - 0.06, 4),
        scale=round(0.9 + 0.2 * scale, 4),
        rotation=round(16 * rotation - 8, 3),
        flip=bool(flip < 0.5),
    )


def widen(pose: Pose, spread: float) -> Pose:
    """A gentle pose as a snapshot has it: turned, nearer or farther, and out of the middle.

    spread 0 leaves it; at 1 poses reach +-24 degrees, scale .67-1.82 and shifts of .48 (x) and .3 (y) of the half
    frame, so that a picture may show a part of the subject.
    """
    middle = -0.01  # of sample_pose's y
    return Pose(
        x=round(pose.x * (1 + 3 * spread), 4),
        y=round(middle + (pose.y - middle) * (1 + 5 * spread), 4),
        scale=round(float(pose.scale ** (1 + 4 * spread) * np.exp(0.12 * spread)), 4),
        rotation=round(pose.rotation * (1 + 2 * spread), 3),
        flip=pose.flip,
    )


def sample_scene(
    rng: np.random.Generator,
    *,
    background: str | None = None,
    accessory: str | _Draw | None = DRAW,
    style: str | None = None,
    recolour: str | _Draw | None = DRAW,
    effect: str | _Draw | None = DRAW,
    pose: Pose | None = None,
    p_accessory: float = 0.45,
    p_style: float = 0.20,
    p_recolour: float = 0.10,
    p_effect: float = 0.10,
) -> Scene:
    """Draws the fields that are not given.

    Fields that may be None are drawn when left at DRAW; `background`, `style` and `pose` are drawn when None.
    The number of draws is fixed, so a given field never changes the others.
    """
    u = rng.uniform(size=9)
    seed = int(rng.integers(2**31))
    drawn_pose = sample_pose(rng)

    def pick(names: Iterable[str], x: float) -> str:
        options = tuple(names)
        return options[int(x * len(options))]

    if isinstance(accessory, _Draw):
        accessory = pick(ACCESSORIES, u[1]) if u[0] < p_accessory else None
    if isinstance(recolour, _Draw):
        recolour = pick(COLOURS, u[3]) if u[2] < p_recolour else None
    if isinstance(effect, _Draw):
        effect = pick(EFFECTS, u[5]) if u[4] < p_effect else None
    if style is None:
        style = pick(STYLES, u[7]) if u[6] < p_style else PHOTO
    if background is None:
        background = pick(BACKGROUNDS, u[8])
    return Scene(background, accessory, style, recolour, effect, pose or drawn_pose, seed)
