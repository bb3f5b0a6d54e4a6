"""Scenes: what changes from one picture of a subject to the next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from suti.world.vocabulary import ACCESSORIES, BACKGROUNDS, COLOURS, EFFECTS, PHOTO, SKETCH, STUDIO, STYLES


@dataclass(frozen=True)
class Pose:
    """x, y: shift in scene units (the frame is [-1, 1], y down); rotation in degrees.

    A pose never mirrors: on which side a spout sits belongs to who a subject is.
    """

    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    rotation: float = 0.0


@dataclass(frozen=True)
class Scene:
    """One picture without its subject.

    `background` is one of BACKGROUNDS or STUDIO. `recolour` names the new primary colour; `effect` is in EFFECTS.
    """

    background: str
    accessory: str | None = None
    style: str = PHOTO
    recolour: str | None = None
    effect: str | None = None
    pose: Pose = Pose()
    background_seed: int = 0

    @property
    def place(self) -> str | None:
        """The background as captions name it: None in the studio."""
        return None if self.background == STUDIO else self.background


ELSEWHERE: Final = 0.15
"""Probability that a picture of a page was taken elsewhere than at the page's home."""
DRESSED: Final = 0.05
"""Probability that a picture of a page shows an accessory."""


class _Draw:
    """Marks a field that is to be drawn, as None is a value of some fields."""


DRAW: Final = _Draw()


def sample_pose(rng: np.random.Generator) -> Pose:
    """A gentle pose: +-8 degrees, scale .88-1.06, shift below .09 of the half frame."""
    x, y, scale, rotation = rng.uniform(size=4)
    return Pose(
        x=round(0.18 * x - 0.09, 4),
        y=round(0.10 * y - 0.06, 4),
        scale=round(0.88 + 0.18 * scale, 4),
        rotation=round(16 * rotation - 8, 3),
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
    p_style: float = 0.18,
    p_recolour: float = 0.16,
    p_effect: float = 0.18,
    p_studio: float = 0.16,
    p_styled_place: float = 0.4,
) -> Scene:
    """Draws the fields that are not given.

    Fields that may be None are drawn when left at DRAW; `background`, `style` and `pose` are drawn when None.
    A drawn background is the studio with probability `p_studio`, and in an art style a place with probability
    `p_styled_place` alone: prompts for a style rarely name a place. A pencil sketch is never drawn recoloured,
    as it shows no colour. The number of draws is fixed, so a given field changes others by these rules alone.
    """
    u = rng.uniform(size=10)
    seed = int(rng.integers(2**31))
    drawn_pose = sample_pose(rng)

    def pick(names: Iterable[str], x: float) -> str:
        options = tuple(names)
        return options[int(x * len(options))]

    if isinstance(accessory, _Draw):
        accessory = pick(ACCESSORIES, u[1]) if u[0] < p_accessory else None
    drawn_recolour = isinstance(recolour, _Draw)
    if isinstance(recolour, _Draw):
        recolour = pick(COLOURS, u[3]) if u[2] < p_recolour else None
    if isinstance(effect, _Draw):
        effect = pick(EFFECTS, u[5]) if u[4] < p_effect else None
    if style is None:
        style = pick(STYLES, u[7]) if u[6] < p_style else PHOTO
    if background is None:
        studio = p_studio if style == PHOTO else 1 - p_styled_place
        background = STUDIO if u[9] < studio else pick(BACKGROUNDS, u[8])
    if drawn_recolour and style == SKETCH:
        recolour = None
    return Scene(background, accessory, style, recolour, effect, pose or drawn_pose, seed)


def page_scenes(n: int, rng: np.random.Generator) -> list[Scene]:
    """Scenes of n pictures of one page, as a seller or a collector takes them; the first k of more are the same k.

    A page has a home: one place, seen in nearly all of its pictures, as the paper's band of similarity (0.82 to 0.98,
    section 4) keeps pages whose pictures are near alike. A few pictures were taken elsewhere, a few show an accessory,
    none is in an art style, recoloured or under an effect.
    """
    home, *others = (str(place) for place in rng.permutation(list(BACKGROUNDS)))
    scenes = []
    for i in range(n):
        place = others[i % len(others)] if rng.uniform() < ELSEWHERE else home
        scenes.append(sample_scene(rng, background=place, recolour=None, effect=None, p_accessory=DRESSED, style=PHOTO))
    return scenes
