"""Subjects drawn in one batch: the pictures that each gets alone, and groups that fit a batch."""

from __future__ import annotations

import numpy as np
import pytest

from suti.config.schema import Compute
from suti.diffusion.settings import Sampling
from suti.generation.draw import AT_ONCE, BenchmarkSubject, draw_suti, draw_suti_together, groups_of
from suti.generation.files import timing_record
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.pipeline import SuTIPipeline
from tests.tiny import tiny_base

FP32 = Compute(precision="fp32")


def subject(name: str, prompts: int = 2, shown: int = 3) -> BenchmarkSubject:
    rng = np.random.default_rng(len(name))
    pictures = rng.integers(0, 256, (shown, 16, 16, 3), dtype=np.uint8)
    texts = tuple((f"{i:02d}", f"a {name} {i}") for i in range(prompts))
    return BenchmarkSubject(name, "dog", tuple((p, "a dog") for p in pictures), texts)


@pytest.mark.parametrize("weight", [None, 4.0])
@pytest.mark.parametrize("k", [0, 1, 3])
def test_a_group_is_drawn_as_each_subject_alone(k: int, weight: float | None) -> None:
    base = tiny_base()
    pipe = SuTIPipeline.of(base.with_network(ApprenticeUNet.from_base(base.unet, "random")))
    pipe.base.freeze()
    sampling = Sampling(3, 2.0, images_per_prompt=2, guidance_stop=0.5, demonstration_guidance_scale=weight)
    subjects = [subject("red"), subject("blue"), subject("green")]
    together = draw_suti_together(pipe, subjects, k, sampling, FP32, 0)
    alone = [draw_suti(pipe, one, k, sampling, FP32, 0) for one in subjects]
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.rows == theirs.rows and theirs.alone and not ours.alone
        assert np.abs(ours.images.astype(int) - theirs.images.astype(int)).max() <= 1
    assert not np.array_equal(together[0].images, together[1].images)
    if k:  # the wrong subject's demonstrations would show
        other = BenchmarkSubject("red", "dog", subjects[1].demonstrations, subjects[0].prompts)
        changed = draw_suti(pipe, other, k, sampling, FP32, 0).images.astype(int)
        assert np.abs(changed - together[0].images).max() > 1


def test_groups_keep_the_order_and_fit_a_batch() -> None:
    many = [subject(f"{n}", prompts=8) for n in range(20)]
    groups = groups_of(many, 3, 2, alone=3)
    assert [len(group) for group in groups] == [1, 1, 1, 4, 4, 4, 4, 1]
    assert [s for group in groups for s in group] == many
    assert all(len(group) * 16 <= AT_ONCE for group in groups)
    # subjects of a group are asked as many prompts and shown as many pictures
    mixed = [subject("a"), subject("b", prompts=3), subject("c", prompts=3), subject("d", 3, shown=1)]
    assert [len(group) for group in groups_of(mixed, 3, 1, alone=0)] == [1, 2, 1]
    assert [len(group) for group in groups_of(mixed, 1, 1, alone=0)] == [1, 3]
    assert [len(group) for group in groups_of(mixed[1:], 3, AT_ONCE, alone=0)] == [1, 1, 1]


def test_seconds_are_those_of_subjects_drawn_alone() -> None:
    base = tiny_base()
    pipe = SuTIPipeline.of(base)
    sampling = Sampling(2, 1.0)
    one = draw_suti(pipe, subject("red"), 0, sampling, FP32, 0)
    two = draw_suti_together(pipe, [subject("blue"), subject("green")], 0, sampling, FP32, 0)
    record = timing_record("base", [one, *two])
    assert (record["subjects"], record["timed_subjects"], record["images"]) == (3, 1, 6)
    assert record["sampling_seconds"] == one.sampling_seconds / 2 and list(record["by_subject"]) == ["red"]
    shared = timing_record("base", two)
    assert shared["by_subject"] == {} and shared["seconds_to_first_images"] is None
    assert shared["sampling_seconds"] == pytest.approx(two[0].sampling_seconds / 2)
