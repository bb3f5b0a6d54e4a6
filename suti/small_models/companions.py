"""Batches for probe, CLIP, DINO-like encoder and captioner: two views a subject, from one pool of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from suti.seeds import generator
from suti.small_models.loop import LoopSettings
from suti.small_models.pool import Pool, Stream
from suti.small_models.store import Store
from suti.small_models.streams import companion_stream
from suti.small_models.views import pick_subjects
from suti.world.vocabulary import CLASSES

BLOCKS = 200  # of the pool that are drawn from; later epochs use the same ones
USES = 4.0  # of a picture in a run by steps, so that one core renders and trains by turns

Tensors = dict[str, Tensor]


class Companions(Store):
    """A pool's pictures as subjects with two views each.

    Args:
        settings: of the training; ``seconds`` lets it take what is rendered, ``steps`` makes it repeatable.
        folder: of the pool; None is a folder of its own, removed with the object.
        read: (pool, block) -> tensors on the CPU, first axis pictures; ``images`` and ``class_index`` are added.
        batch: pictures that a step takes.
        stream: pictures to draw from; None is ``companion_stream``.
    """

    def __init__(
        self,
        settings: LoopSettings,
        folder: str | Path | None,
        read: Callable[[Pool, int], Tensors],
        batch: int,
        stream: Stream | None = None,
    ) -> None:
        pool = Pool(folder, stream or companion_stream(settings.seed))
        fresh = None if settings.seconds is not None and folder is not None else batch / USES
        blocks = BLOCKS if fresh is None else min(BLOCKS, int(settings.steps * fresh) // pool.stream.block + 1)
        super().__init__(pool, blocks, self._with_pictures, torch.device(settings.device), fresh=fresh)
        self._more = read
        self._classes = np.zeros(0, np.int64)

    def _with_pictures(self, pool: Pool, number: int) -> Tensors:
        subjects, _ = pool.truth(number)
        classes = torch.tensor([CLASSES.index(subject.class_name) for subject in subjects])
        pictures = torch.from_numpy(np.array(pool.block(number)[0]))
        return {"images": pictures, "class_index": classes} | self._more(pool, number)

    def _add(self) -> None:
        first = self.pictures
        super()._add()
        self._classes = np.concatenate(
            [self._classes, self._rows["class_index"][first : self.pictures : 2].cpu().numpy()]
        )

    def draw_subjects(self, name: str, seed: int, step: int, subjects: int, hard: float) -> Tensors:
        """Both views of ``subjects`` subjects, view by view: rows 2 i and 2 i + 1 show subject i.

        With probability ``hard`` all are of a few classes. Keyed by (seed, name, step) among the pictures there.
        """
        self.grow(step)
        rng = generator(seed, name, "subjects", step)
        picked = pick_subjects(rng, self._classes, subjects, hard)
        rows = torch.from_numpy(np.stack([2 * picked, 2 * picked + 1], 1).ravel()).to(self.device)
        return {field: value[rows] for field, value in self._rows.items()}


def to_float(images: Tensor) -> Tensor:
    """uint8 ``(N, H, W, 3)`` on any device to float ``(N, 3, H, W)`` in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1
