"""What the page does, without a browser: take pictures, suggest captions, check a request, draw.

Uploads come from anybody. They are decoded by ``suti.io.images.read_image`` alone, and what the page shows again is
the decoded square, never the file. A ``Problem`` is a sentence for the visitor.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import numpy as np
from PIL import Image

from suti.diffusion.settings import Sampling
from suti.generation.studio import Studio, Wish, save_png
from suti.io.images import BadImage, centre_crop_square, read_image, shrink
from suti.language import lexicon
from suti.language.grammar import parse
from suti.language.text import with_article

MAX_PICTURES = 5
MAX_DRAWN = 8
MAX_STEPS = 250
MAX_GUIDANCE = 30.0
MAX_TEXT = 300
"""Characters kept of a caption or prompt; text encoders read fewer."""
SIDE = 512
"""Pixels to which an uploaded square is reduced, unless the model draws larger ones."""
SCENES = ("{} in the snow", "{} on the beach", "a watercolor painting of {}", "a pencil sketch of {}")

Progress = Callable[[int, int, str], None]
"""Called with finished steps, all steps, and what is being done, e.g. "picture 1 of 4, enlarging 1 of 2"."""


class Problem(ValueError):
    """What the visitor should change, as a sentence."""


class _Stopped(Exception):
    """The visitor wants no more; raised between two steps."""


@dataclass(frozen=True)
class Subject:
    """A visitor's demonstrations: uint8 ``(S, S, 3)`` squares and as many captions."""

    pictures: tuple[np.ndarray, ...] = ()
    captions: tuple[str, ...] = ()

    def with_captions(self, captions: Sequence[str | None]) -> Subject:
        """The captions as the visitor edited them; surplus ones (of empty cards) are ignored."""
        return replace(self, captions=tuple(_line(c) for c in captions[: len(self.pictures)]))

    def without(self, index: int) -> Subject:
        """The subject less one picture."""
        keep = [i for i in range(len(self.pictures)) if i != index]
        return Subject(tuple(self.pictures[i] for i in keep), tuple(self.captions[i] for i in keep))


@dataclass(frozen=True)
class Drawn:
    """A finished picture: a PNG file, and what it shows."""

    path: Path
    prompt: str


def add_pictures(
    subject: Subject, paths: Sequence[str | Path], studio: Studio, *, max_pixels: int
) -> tuple[Subject, list[str]]:
    """The subject with uploaded pictures and suggested captions, and a sentence on each file that was not taken."""
    pictures: list[np.ndarray] = []
    problems: list[str] = []
    for path in map(Path, paths):
        if len(subject.pictures) + len(pictures) == MAX_PICTURES:
            problems.append(f"{path.name}: left out, {MAX_PICTURES} pictures are the most. Remove one first.")
            continue
        try:
            pictures.append(square(read_image(path, max_pixels=max_pixels), studio))
        except BadImage as error:
            why = "too large" if error.reason == "too_large" else "cannot be read as a picture"
            problems.append(f"{path.name}: {why} ({error.detail}).")
    if not pictures:
        return subject, problems
    captions = [_line(text) for text in studio.suggest(pictures)]
    return Subject((*subject.pictures, *pictures), (*subject.captions, *captions)), problems


def example(pictures: np.ndarray, captions: Sequence[str], studio: Studio) -> Subject:
    """A shipped subject, uint8 ``(k, S, S, 3)``, with its own captions."""
    return Subject(
        tuple(square(picture, studio) for picture in pictures[:MAX_PICTURES]), tuple(captions[:MAX_PICTURES])
    )


def square(picture: np.ndarray, studio: Studio) -> np.ndarray:
    """The centred square of uint8 ``(H, W, 3)``, which is what the model looks at, no larger than it is of use."""
    side = int(getattr(getattr(studio.pipeline, "base", None), "image_size", 0))
    return np.ascontiguousarray(shrink(centre_crop_square(picture), max(SIDE, side)))


def ideas(captions: Sequence[str]) -> list[str]:
    """Prompts to start from: the captions' most frequent noun in four scenes; of no captions, none."""
    known = lexicon.load()
    nouns = [noun for caption in captions if (noun := parse(caption, known).noun)]
    if not nouns:
        return []
    thing = with_article(Counter(nouns).most_common(1)[0][0])
    return [scene.format(thing) for scene in SCENES]


def wish_of(
    prompt: str | None, guidance_scale: float | None, demonstration_guidance_scale: float | None, steps: float | None,
    seed: float | None, *, upscale: bool, otherwise: Sampling,
) -> Wish:  # fmt: skip
    """The request as the page sent it, checked.

    Args:
        otherwise: how to draw, in what the page does not ask for.

    Raises:
        Problem: an empty prompt, or a number out of range.
    """
    words = _line(prompt)
    if not words:
        raise Problem("Say what to draw, for example: a backpack in the snow.")
    return Wish(
        prompt=words,
        sampling=replace(
            otherwise,
            guidance_scale=_number("Guidance by the prompt", guidance_scale, 0, MAX_GUIDANCE),
            demonstration_guidance_scale=_number(
                "Guidance by the pictures", demonstration_guidance_scale, 0, MAX_GUIDANCE
            ),
            num_inference_steps=int(_number("Steps", steps, 1, MAX_STEPS)),
        ),
        seed=int(_number("Seed", seed, 0, 2**53)),
        upscale=upscale,
    )


def draw(
    studio: Studio, subject: Subject, wish: Wish, count: float | None, folder: Path, progress: Progress | None = None,
    stop: Event | None = None,
) -> list[Drawn]:  # fmt: skip
    """Draw ``count`` pictures into a new folder below ``folder``; each PNG keeps how it was drawn.

    Args:
        stop: once set, from another thread, nothing more is drawn after the step under way.

    Returns:
        The finished pictures: all, or those before the stop.

    Raises:
        Problem: no pictures, an empty caption, a count out of range, or a model that takes no demonstrations.
    """
    if not subject.pictures:
        raise Problem(f"Add 1 to {MAX_PICTURES} pictures of the subject first.")
    empty = [str(number) for number, text in enumerate(subject.captions, 1) if not text]
    if empty:
        raise Problem(f"Picture {' and '.join(empty)}: no caption. Say in a few words what it shows.")
    number = int(_number("Pictures", count, 1, MAX_DRAWN))
    demonstrations = list(zip(subject.pictures, subject.captions, strict=True))
    try:
        studio.encode(demonstrations)
    except ValueError as error:
        raise Problem(f"This model cannot look at pictures: {error}.") from error
    steps = wish.sampling.num_inference_steps
    place = Path(tempfile.mkdtemp(dir=folder))
    results = []
    for index in range(number):

        def report(step: int, doing: str = "", index: int = index) -> None:
            if stop is not None and stop.is_set():
                raise _Stopped
            if progress is not None:
                progress(index * steps + step, number * steps, f"picture {index + 1} of {number}{doing}")

        def enlarging(stage: int, stages: int, report: Callable[[int, str], None] = report) -> None:
            report(steps, f", enlarging {stage} of {stages}")

        if stop is not None and stop.is_set():
            break
        try:
            picture = Image.fromarray(studio.draw(wish, demonstrations, index, report, enlarging))
        except _Stopped:
            break
        path = place / f"{_slug(wish.prompt)}-seed{wish.seed}-{index + 1}.png"
        told = {"prompts": [wish.prompt], "texts": list(subject.captions), **wish.record(), "seed": wish.seed}
        save_png(path, picture, told | {"super_resolution": studio.enlarged_by(wish)})
        results.append(Drawn(path, wish.prompt))
    return results


def _line(text: str | None) -> str:
    return " ".join((text or "").split())[:MAX_TEXT].rstrip()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "picture"


def _number(name: str, value: float | None, low: float, high: float) -> float:
    if value is None or not math.isfinite(value) or not low <= value <= high:
        raise Problem(f"{name}: {'empty' if value is None else value}, expected a number from {low:g} to {high:g}.")
    return value
