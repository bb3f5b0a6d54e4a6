"""Subjects to try at once: rendered at start from the world, so nothing is downloaded and nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from suti.benchmark.world import benchmark_subjects, demonstrations

CLASSES: tuple[str, ...] = ("backpack", "teapot", "dog", "car")
"""One subject of each that the world has, in this order; the benchmark's, which no model was trained on."""
PICTURES = 4
SIDE = 192
SEED = 0


@dataclass(frozen=True)
class Example:
    """A subject: its class, uint8 ``(k, S, S, 3)`` pictures, and k true captions."""

    name: str
    pictures: np.ndarray
    captions: list[str]

    def thumbnail(self) -> Image.Image:
        """The first four pictures as one square."""
        top, bottom = np.concatenate(self.pictures[:2], axis=1), np.concatenate(self.pictures[2:4], axis=1)
        return Image.fromarray(np.concatenate([top, bottom]))


def world_examples(classes: Sequence[str] = CLASSES) -> list[Example]:
    """Unseen subjects of the world, four pictures each."""
    subjects = {subject.class_name: subject for subject in reversed(benchmark_subjects(SEED))}
    shown = {name: demonstrations(subjects[name], PICTURES, SEED, size=SIDE) for name in classes if name in subjects}
    return [Example(name, found.images, found.captions) for name, found in shown.items()]
