"""References as a prompt asks for them, and the judge that takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from suti.benchmark.contents import appearance_key, thinned
from suti.benchmark.world import Appearance, references, world_benchmark
from suti.config.schema import Compute
from suti.evaluation.judging import judge_run
from suti.small_models.probe_network import load_probe

PROBE = Path(__file__).parents[2] / "resources" / "models" / "probe"


@pytest.fixture(scope="module")
def benchmark():
    return world_benchmark(seed=3, subjects=2, prompts_per_subject=25, count=1, images_per_prompt=1)


def test_a_prompt_names_the_look_it_asks_for() -> None:
    assert Appearance.of("a cat in the snow") == Appearance() == Appearance.of("a cat wearing a red hat")
    assert Appearance.of("a red cat") == Appearance(recolour="red")
    assert Appearance.of("a wet cat on the beach") == Appearance(effect="wet")
    assert Appearance.of("a pencil sketch of a cat").style != Appearance().style


def test_only_prompts_that_change_the_looks_have_references_of_their_own(benchmark) -> None:
    changing = {
        appearance_key(row["subject_id"], row["prompt_id"])
        for row in benchmark.prompts
        if Appearance.of(row["prompt"]) != Appearance()
    }
    assert 0 < len(changing) < len(benchmark.prompts) and set(benchmark.appearances) == changing
    prompt_of = {appearance_key(row["subject_id"], row["prompt_id"]): row["prompt"] for row in benchmark.prompts}
    for key, pictures in benchmark.appearances.items():
        plain = benchmark.references[key.rsplit("__", 1)[0]]
        assert len(pictures) == len(plain)
        assert not any(np.array_equal(a, b) for a, b in zip(pictures, plain, strict=True)), prompt_of[key]
    few = thinned(benchmark, main_subjects=1, n=1)
    kept = {appearance_key(row["subject_id"], row["prompt_id"]) for row in few.prompts}
    assert set(few.appearances) == changing & kept and len(few.appearances) < len(changing)


def test_a_true_recoloured_picture_passes_and_the_old_colour_fails(benchmark) -> None:
    from suti.world.subjects import colour_name, sample_subject

    subject = next(
        s for s in (sample_subject("appearance-test", i, "dog") for i in range(20)) if colour_name(s.primary) == "blue"
    )
    key = appearance_key(subject.subject_id, "red")
    red = Appearance(recolour="red")
    real = {subject.subject_id: list(references(subject, 6, 0))}
    appearances = {key: list(references(subject, 6, 0, appearance=red))}
    pictures = {
        "right": references(subject, 1, 1, appearance=red)[0],
        "wrong": references(subject, 1, 1)[0],
    }
    rows = [
        {"run": "x", "sample_id": name, "subject_id": subject.subject_id, "prompt_id": "red", "prompt": "a red dog",
         "image_index": i}
        for i, name in enumerate(pictures)
    ]  # fmt: skip
    probe = load_probe(str(PROBE), Compute())
    judged = judge_run(pd.DataFrame(rows), pictures, real, probe, appearances).set_index("sample_id")
    assert judged.loc["right", "subject"] >= probe.thresholds["subject"] > judged.loc["wrong", "subject"]
    # Without them the judge calls the true picture another subject.
    plain = judge_run(pd.DataFrame(rows), pictures, real, probe).set_index("sample_id")
    assert plain.loc["right", "subject"] < judged.loc["right", "subject"]
