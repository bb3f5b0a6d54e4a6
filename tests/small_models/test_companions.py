"""Batches of subjects: from the pictures that are there, both views of each."""

from __future__ import annotations

from pathlib import Path

import torch

from suti.small_models.companions import Companions
from suti.small_models.loop import LoopSettings
from suti.small_models.pool import Pool, Stream


def test_batches_hold_both_views_of_subjects_that_are_there(tmp_path: Path) -> None:
    stream = Stream("few", 0, size=32, views=2, block=16)
    for number in range(2):
        Pool(tmp_path, stream).render(number)  # the other blocks of a run by time are rendered by nobody
    settings = LoopSettings("few", 0, steps=10**9, learning_rate=1e-3, seconds=5.0)
    names = {subject.subject_id: i for i in range(2) for subject in Pool(tmp_path, stream).truth(i)[0]}
    order = {name: i for i, name in enumerate(names)}

    def read(pool: Pool, number: int) -> dict[str, torch.Tensor]:
        return {"who": torch.tensor([order[subject.subject_id] for subject in pool.truth(number)[0]])}

    pictures = Companions(settings, tmp_path, read, 8, stream)
    for step in range(6):
        batch = pictures.draw_subjects("few", 0, step, 4, hard=0.5)
        assert batch["images"].shape == (8, 32, 32, 3)
        assert torch.equal(batch["who"][::2], batch["who"][1::2]) and len(set(batch["who"].tolist())) == 4
        assert len(pictures._classes) == pictures.pictures // 2
