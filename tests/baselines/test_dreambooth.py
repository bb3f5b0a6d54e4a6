"""DreamBooth's prior preservation: what it weighs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from suti.baselines.dreambooth import DreamBooth, class_pictures, draw_dreambooth
from suti.config.schema import Compute
from suti.diffusion.settings import Sampling
from suti.experts.fine_tuning import FineTuning, TrainingSet, fine_tune, subject_unet, training_set
from suti.generation.draw import BenchmarkSubject
from tests.tiny import tiny_base

FP32 = Compute(precision="fp32", device="cpu")
SAMPLING = Sampling(2, 2.0, False, 1)
TUNING = FineTuning("full", 3, 2, 1e-2)
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
SUBJECT = BenchmarkSubject("s", "cat", tuple((p, "a cat") for p in PICTURES), (("00", "a cat in the snow"),))


def tuned(prior: np.ndarray | None, weight: float) -> tuple[float, torch.Tensor]:
    """Loss of the last step, and one of the trained weights."""
    base = tiny_base()
    data = training_set(base, list(PICTURES), ["a sks cat"] * 3)
    others = None if prior is None else training_set(base, list(prior), ["a cat"] * len(prior))
    with subject_unet(base, TUNING) as (unet, parameters):
        loss = fine_tune(base, parameters, data, TUNING, FP32, (0, "x"), others, weight)
        return loss, unet.conv_in.weight.detach().clone()


def test_the_weight_counts_and_at_zero_the_class_pictures_do_not() -> None:
    black, white = np.zeros_like(PICTURES), np.full_like(PICTURES, 255)
    assert torch.equal(tuned(black, 0.0)[1], tuned(white, 0.0)[1])
    assert not torch.equal(tuned(black, 1.0)[1], tuned(white, 1.0)[1])
    assert not torch.equal(tuned(black, 1.0)[1], tuned(black, 0.5)[1])


def test_the_loss_is_the_sum_of_both() -> None:
    """One step from equal weights: the loss is that of the subject and the weighed one of the class."""
    one = FineTuning("full", 1, 2, 1e-9)

    def loss(prior: TrainingSet | None, weight: float) -> float:
        base = tiny_base()
        data = training_set(base, list(PICTURES), ["a sks cat"] * 3)
        with subject_unet(base, one) as (_, parameters):
            return fine_tune(base, parameters, data, one, FP32, (0, "x"), prior, weight)

    prior = training_set(tiny_base(), list(PICTURES[::-1]), ["a cat"] * 3)
    alone, half, whole = loss(None, 1.0), loss(prior, 0.5), loss(prior, 1.0)
    assert half - alone == pytest.approx((whole - alone) / 2, rel=1e-4) and whole > alone + 0.1


def test_class_pictures_are_the_classes_and_the_same_for_its_subjects() -> None:
    base = tiny_base()
    cats = class_pictures(base, "cat", 2, SAMPLING, FP32, 0)
    assert torch.equal(cats.x_start, class_pictures(base, "cat", 2, SAMPLING, FP32, 0).x_start)
    assert not torch.equal(cats.x_start, class_pictures(base, "dog", 2, SAMPLING, FP32, 0).x_start)


def test_a_diverged_subject_names_the_setting() -> None:
    wild = DreamBooth(FineTuning("full", 4, 2, 1e30), "sks")
    with pytest.raises(FloatingPointError, match=r"DreamBooth of s: .*baselines\.dreambooth\.learning_rate"):
        draw_dreambooth(tiny_base(), SUBJECT, wild, SAMPLING, FP32, 0)
