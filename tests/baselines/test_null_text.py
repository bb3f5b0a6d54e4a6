"""Null-Text Inversion: tuned embeddings bring the picture back, rows and prompts do not see each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from suti.baselines.null_text import NullText, ddim_invert, draw_null_text, edit, invert, tune_null_text
from suti.benchmark.world import benchmark_subjects, demonstrations
from suti.config.schema import Compute
from suti.diffusion.settings import Sampling
from suti.experts.fine_tuning import training_set
from suti.generation.draw import BenchmarkSubject
from suti.models.base import load_base
from tests.tiny import tiny_base

FP32 = Compute(precision="fp32", device="cpu")
SETTINGS = NullText(
    num_inference_steps=3, inner_steps=2, learning_rate=0.05, early_stop=0.0, guidance_scale=3.0, cross_share=0.7,
    self_share=0.4,
)  # fmt: skip
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
SUBJECT = BenchmarkSubject(
    "s", "cat", tuple((p, f"a {c} cat") for p, c in zip(PICTURES, ("red", "blue"), strict=True)),
    (("00", "a cat in the snow"), ("01", "a wet cat")),
)  # fmt: skip


def test_tuning_brings_the_picture_back_better_than_inversion_alone() -> None:
    base = load_base("resources/models/base")
    shown = demonstrations(benchmark_subjects(5, 1)[0], 1, 5)
    pairs = [(shown.images[0], shown.captions[0])]
    settings = replace(SETTINGS, num_inference_steps=8, inner_steps=3, learning_rate=0.02)
    wanted = training_set(base, [shown.images[0]], [""]).x_start

    def error(inner_steps: int) -> float:
        inverted = invert(base, pairs, replace(settings, inner_steps=inner_steps), FP32)
        again, _ = edit(base, inverted, [0], ["a cat"], settings, FP32)
        return float((again - wanted).square().mean())

    assert error(3) < 0.9 * error(0)


@pytest.mark.parametrize("kind", ["pixel", "latent"])
def test_rows_are_tuned_as_if_alone(kind: str) -> None:
    base = tiny_base(kind)
    data = training_set(base, list(PICTURES), ["a red cat", "a blue cat"])
    trajectory = ddim_invert(base, data.x_start, data.conditions, 3, FP32)
    assert len(trajectory) == 4
    assert torch.equal(trajectory[-1], data.x_start)
    together = tune_null_text(base, trajectory, data.conditions, SETTINGS, FP32)
    assert together.shape == (3, 2, *data.conditions.hidden_states.shape[1:])
    for row in range(2):
        alone = tune_null_text(
            base, [x[row : row + 1] for x in trajectory], data.conditions[row : row + 1], SETTINGS, FP32
        )
        torch.testing.assert_close(together[:, row : row + 1], alone, rtol=1e-3, atol=1e-3)


def test_early_stop_leaves_the_empty_text() -> None:
    base = tiny_base()
    data = training_set(base, [PICTURES[0]], ["a cat"])
    trajectory = ddim_invert(base, data.x_start, data.conditions, 3, FP32)
    for settings in (replace(SETTINGS, early_stop=1e9), replace(SETTINGS, inner_steps=0)):
        nulls = tune_null_text(base, trajectory, data.conditions, settings, FP32)
        assert all(torch.equal(null, base.encode([""]).hidden_states) for null in nulls)
    assert not torch.equal(
        tune_null_text(base, trajectory, data.conditions, SETTINGS, FP32)[0], base.encode([""]).hidden_states
    )


def test_image_i_edits_demonstration_i() -> None:
    base = tiny_base()
    before = {k: v.clone() for k, v in base.unet.state_dict().items()}
    drawn = draw_null_text(base, SUBJECT, SETTINGS, Sampling(2, 1.0, False, 2), FP32, 0)
    assert [(r["prompt_id"], r["image_index"]) for r in drawn.rows] == [("00", 0), ("00", 1), ("01", 0), ("01", 1)]
    assert drawn.images.shape == (4, 16, 16, 3)
    assert drawn.optimisation_seconds > 0
    # 12 x 8 x 8 numbers of noise and three null embeddings of 32 x 16, for each of two demonstrations, in float16.
    assert drawn.stored_bytes == 2 * 2 * (12 * 8 * 8 + 3 * 32 * 16)
    one = draw_null_text(base, SUBJECT, SETTINGS, Sampling(2, 1.0, False, 1), FP32, 0)
    assert abs(one.images.astype(int) - drawn.images[[0, 2]]).max() <= 1
    swapped = replace(SUBJECT, demonstrations=SUBJECT.demonstrations[::-1])
    other = draw_null_text(base, swapped, SETTINGS, Sampling(2, 1.0, False, 1), FP32, 0)
    assert abs(other.images.astype(int) - drawn.images[[1, 3]]).max() <= 1
    assert all(torch.equal(v, before[k]) for k, v in base.unet.state_dict().items())


@pytest.mark.parametrize("kind", ["pixel", "if"])
def test_no_share_of_maps_is_guided_ddim_from_the_same_noise(kind: str) -> None:
    """The edit under control of nothing, beside the demonstration, is what it is by itself."""
    base = tiny_base(kind)
    free = replace(SETTINGS, cross_share=0.0, self_share=0.0)
    inverted = invert(base, SUBJECT.demonstrations[:1], free, FP32)
    again, edits = edit(base, inverted, [0, 0], ["a red cat", "a wet cat"], free, FP32)
    close = {"rtol": 1e-3, "atol": 1e-3}  # controlled maps are made by another kernel
    torch.testing.assert_close(edits[:1], again, **close)  # the first prompt is the caption
    assert not torch.allclose(edits[1], edits[0])
    controlled = replace(SETTINGS, cross_share=1.0, self_share=1.0)
    kept, other = edit(base, inverted, [0, 0], ["a red cat", "a wet cat"], controlled, FP32)
    torch.testing.assert_close(kept, again, **close)
    assert not torch.allclose(other[1], edits[1])
