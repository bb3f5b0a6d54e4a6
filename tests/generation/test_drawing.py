"""Drawing a benchmark subject: which pictures, in which batches, and what the seconds are made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from suti.config.schema import Compute
from suti.diffusion.settings import Sampling
from suti.generation import draw as generation
from suti.generation import files as drawing
from suti.generation.draw import BenchmarkSubject, Drawn
from suti.io import tables
from suti.io.shards import read_images
from tests.tiny import tiny_base

PROMPTS = tuple((f"{p:02d}", f"a dog number {p}") for p in range(5))
SUBJECT = BenchmarkSubject("dog", "dog", (), PROMPTS)


def drawn(at_once: int, monkeypatch: pytest.MonkeyPatch, images: int = 2) -> tuple[Drawn, list[int]]:
    batches = []

    def draw(base, prompts, references, generators, sampling):
        batches.append(len(prompts))
        values = [int(g.initial_seed() % 251) for g in generators]
        return np.array(values, np.uint8)[:, None, None, None].repeat(2, 1).repeat(2, 2).repeat(3, 3)

    monkeypatch.setattr(generation, "draw", draw)
    sampling = Sampling(2, 1.0, False, images)
    asked = [prompt for _, prompt in PROMPTS]
    return generation.draw_subject(tiny_base(), SUBJECT, None, asked, sampling, Compute(), 0, at_once), batches


def test_the_first_prompt_is_drawn_alone_and_batches_change_no_picture(monkeypatch):
    one, batches = drawn(100, monkeypatch)
    assert batches == [2, 8]
    many, batches = drawn(3, monkeypatch)
    assert batches == [2, 3, 3, 2] and (one.images == many.images).all() and one.rows == many.rows
    assert [row["sample_id"] for row in one.rows][:3] == ["dog__00__0", "dog__00__1", "dog__01__0"]
    assert len(np.unique(one.images[:, 0, 0, 0])) > 5
    _, batches = drawn(2, monkeypatch, images=1)
    assert batches == [1, 2, 2]


def test_seconds_are_kept_by_subject(tmp_path: Path):
    rows = [
        {"sample_id": f"{p}{i}", "subject_id": "dog", "prompt_id": p, "prompt": "a dog", "image_index": i}
        for p in ("00", "01", "02") for i in range(2)
    ]  # fmt: skip
    cat = [{**row, "sample_id": f"cat{row['sample_id']}", "subject_id": "cat"} for row in rows]
    images = np.zeros((6, 2, 2, 3), np.uint8)
    both = [Drawn(rows, images, 6.0, 1.5, 11.0, 10.0), Drawn(cat, images, 12.0, 2.5, 23.0, 20.0, 1.0, 768)]
    paths = [str(tmp_path / name) for name in ("x.parquet", "x.tar", "x.timing.json")]
    drawing.write_generations("x", both, *paths, optimisation_steps=30, threads=1)
    assert len(tables.read(paths[0], "generations")) == len(read_images(paths[1])) == 12
    found = json.loads(Path(paths[2]).read_text())
    assert found["optimisation_seconds"] == 15 and found["encoding_seconds"] == 0.5
    assert found["sampling_seconds"] == 18 / 12 and found["first_images"] == 2
    assert found["seconds_to_first_images"] == 15.5 + 2 and found["seconds_whole_subject"] == 15.5 + 9
    assert found["cpu_seconds_to_first_images"] == 17
    assert found["seconds_per_subject"] == 15.5 + 4 * 1.5
    assert found["by_subject"]["cat"]["first_seconds"] == 2.5 and found["by_subject"]["dog"]["prompts"] == 3
    assert found["bytes_per_subject"] == 384 and found["by_subject"]["cat"]["bytes"] == 768
    assert (found["optimisation_steps"], found["threads"]) == (30, 1)
