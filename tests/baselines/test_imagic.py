"""Imagic: the embedding comes to describe the picture, every picture is fitted by itself, the base is left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from suti.baselines.imagic import Imagic, draw_imagic, optimise_embedding
from suti.benchmark.world import benchmark_subjects, demonstrations
from suti.config.schema import Compute
from suti.diffusion.losses import denoising_loss
from suti.diffusion.settings import Sampling
from suti.experts.fine_tuning import FineTuning, training_set
from suti.generation.draw import BenchmarkSubject, draw_subject
from suti.models.base import load_base
from suti.models.conditions import Conditions
from tests.tiny import tiny_base

FP32 = Compute(precision="fp32", device="cpu")
SETTINGS = Imagic(2, 0.1, FineTuning("full", 2, 2, 1e-3, frozen=("conv_in", "conv_out")), 0.5)
SAMPLING = Sampling(2, 3.0, False, 2)
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
SUBJECT = BenchmarkSubject(
    "s", "cat", tuple((p, "a cat") for p in PICTURES), (("00", "a cat in the snow"), ("01", "a wet cat"))
)


def test_the_embedding_comes_to_describe_the_picture() -> None:
    base = load_base("resources/models/base")
    shown = demonstrations(benchmark_subjects(5, 1)[0], 1, 5)
    data = training_set(base, [shown.images[0]], ["a cat on the beach"])
    noise = torch.randn(8, *data.x_start.shape[1:], generator=torch.Generator().manual_seed(0))
    timesteps = torch.linspace(200, 950, 8).long()

    def loss(text: Conditions) -> float:
        with torch.no_grad():
            return denoising_loss(
                lambda x, t: base.predict(x, t, text.expand(8)),
                base.schedule, data.x_start.expand(8, -1, -1, -1), noise, timesteps,
            ).mean().item()  # fmt: skip

    found = optimise_embedding(
        base, data.x_start, data.conditions, replace(SETTINGS, embedding_steps=8), FP32, (0, "x")
    )
    assert loss(found) < loss(data.conditions)


@pytest.mark.parametrize("kind", ["pixel", "latent"])
def test_every_picture_is_fitted_by_itself(kind: str) -> None:
    base = tiny_base(kind)
    before = {k: v.clone() for k, v in base.unet.state_dict().items()}
    drawn = draw_imagic(base, SUBJECT, SETTINGS, SAMPLING, FP32, 0)
    assert all(torch.equal(v, before[k]) for k, v in base.unet.state_dict().items())
    assert not any(p.requires_grad for p in base.unet.parameters())
    trained = sum(v.numel() for k, v in base.unet.named_parameters() if not k.startswith(("conv_in", "conv_out")))
    assert drawn.stored_bytes == 2 * 4 * (trained + base.encode([""]).hidden_states.numel())
    assert drawn.optimisation_seconds == 0 < drawn.first_seconds
    # A prompt less and a demonstration less change no other picture; image 1 is of demonstration 1.
    less = replace(SUBJECT, prompts=SUBJECT.prompts[1:])
    np.testing.assert_array_equal(draw_imagic(base, less, SETTINGS, SAMPLING, FP32, 0).images, drawn.images[2:])
    only = replace(less, demonstrations=SUBJECT.demonstrations[:1])
    images = draw_imagic(base, only, SETTINGS, SAMPLING, FP32, 0).images
    np.testing.assert_array_equal(images[0], drawn.images[2])
    assert (images[1] != drawn.images[3]).any()


def test_without_training_it_is_the_base() -> None:
    """No steps on the embedding and next to none on the weights: what the base draws, whatever eta."""
    base = tiny_base()
    still = replace(SETTINGS, embedding_steps=0, tuning=replace(SETTINGS.tuning, learning_rate=1e-12))
    plain = draw_subject(base, SUBJECT, None, [p for _, p in SUBJECT.prompts], SAMPLING, FP32, 0)
    for eta in (0.0, 1.0):
        drawn = draw_imagic(base, SUBJECT, replace(still, eta=eta), SAMPLING, FP32, 0)
        assert abs(drawn.images.astype(int) - plain.images).max() <= 1
        assert drawn.rows == plain.rows


def test_eta_leads_from_the_picture_to_the_prompt() -> None:
    base = tiny_base()
    one = Sampling(2, 3.0, False, 1)
    images = [draw_imagic(base, SUBJECT, replace(SETTINGS, eta=e), one, FP32, 0).images[0] for e in (0.0, 0.5, 1.0)]
    distance = [abs(images[2].astype(int) - image).mean() for image in images]
    assert distance[0] > distance[1] > 0


def test_a_subject_without_pictures_is_named() -> None:
    with pytest.raises(ValueError, match="subject 's': no demonstrations"):
        draw_imagic(tiny_base(), replace(SUBJECT, demonstrations=()), SETTINGS, SAMPLING, FP32, 0)


def test_a_diverged_fit_is_an_error_and_leaves_the_base() -> None:
    base = tiny_base()
    before = {k: v.clone() for k, v in base.unet.state_dict().items()}
    wild = replace(SETTINGS, tuning=replace(SETTINGS.tuning, learning_rate=1e30, steps=4))
    with pytest.raises(FloatingPointError, match=r"Imagic of s, .*imagic\.learning_rate"):
        draw_imagic(base, SUBJECT, wild, SAMPLING, FP32, 0)
    assert all(torch.equal(v, before[k]) for k, v in base.unet.state_dict().items())
