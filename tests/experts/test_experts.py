"""Experts as the pipeline runs them: content addresses, cache, and the drawing of baselines."""

from __future__ import annotations

import numpy as np
import pytest

from suti.baselines.dream_suti import DreamSuTI, draw_dream_suti
from suti.baselines.dreambooth import DreamBooth, draw_dreambooth, with_identifier
from suti.config.schema import Compute, Experts
from suti.diffusion.settings import Sampling
from suti.experts.batched.sampling import draw_experts
from suti.experts.batched.training import stacked_unet
from suti.experts.fine_tuning import FineTuning
from suti.experts.run import (
    ExpertTask,
    expert_address,
    find_result,
    fine_tuning,
    keep_result,
    run_experts,
)
from suti.generation.draw import BenchmarkSubject, draw_suti
from suti.io.finished import Finished
from suti.io.shards import encode_png
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.drawing import draw
from suti.models.pipeline import SuTIPipeline
from suti.seeds import torch_generator
from tests.tiny import tiny_base

FP32 = Compute(precision="fp32", device="cpu")
SETTINGS = Experts(steps=2, batch_size=2, num_inference_steps=2, lora_rank=2)
SAMPLING = Sampling(2, 3.0, True, 2)


def pictures(count: int = 3, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8))


PROMPTS = (("p0", "a red cat"), ("p1", "a green cat"))


def task(name: str = "s", seed: int = 0, prompts: tuple[tuple[str, str], ...] = PROMPTS) -> ExpertTask:
    images = tuple(encode_png(p) for p in pictures(seed=seed))
    return ExpertTask(name, images, ("a cat",) * 3, prompts)


def test_address_follows_content_and_nothing_else():
    context = {"seed": 0, "base": "b", "precision": "fp32", "code": "x"}
    address = expert_address(task(), SETTINGS, context)
    assert address == expert_address(
        task(),
        SETTINGS.model_copy(update={"shards": 9, "keep": True, "experts_at_once": 3, "micro_batch": 1}),
        context,
    )
    changed = [
        expert_address(task("t"), SETTINGS, context),
        expert_address(task(seed=1), SETTINGS, context),
        expert_address(task(), SETTINGS.model_copy(update={"steps": 3}), context),
        *(expert_address(task(), SETTINGS, {**context, name: "other"}) for name in context),
    ]
    assert len({address, *changed}) == len(changed) + 1


def run(base, *tasks: ExpertTask, settings: Experts = SETTINGS, kept=None, micro_batch=None):
    addresses = [f"address of {t.subject_id}" for t in tasks]
    return run_experts(tasks, addresses, base, settings, FP32, 0, kept, micro_batch)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_an_expert_is_the_same_alone_and_among_others(method, tmp_path):
    base, settings = tiny_base(), SETTINGS.model_copy(update={"method": method})
    (first,) = run(base, task(), settings=settings)
    others = [task("none", 3, prompts=()), task("one", 4, prompts=(("p", "a red cat"),)), task(), task("other", 5)]
    none, one, again, other = run(base, *others, settings=settings)
    assert [r["sample_id"] for r in first.samples] == [r["sample_id"] for r in again.samples] == ["s_p0_0", "s_p1_0"]
    assert [len(r.samples) for r in (none, one, other)] == [0, 1, 2] and none.log["status"] == "ok"
    for a, b in zip(first.pictures, again.pictures, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1  # rounding of pixels
    assert again.log["loss"] == pytest.approx(first.log["loss"], rel=1e-5)
    split, _ = run(base, task(), others[3], settings=settings, micro_batch=1)
    for a, b in zip(first.pictures, split.pictures, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1  # each image in a pass of its own
    assert again.log["expert_id"] == "address of s" and again.samples[0]["prompt"] == "a red cat"
    keep_result(Finished(tmp_path), "abcd", first)
    kept = find_result(Finished(tmp_path), "abcd")
    assert kept.samples == first.samples and kept.log == first.log
    assert all(np.array_equal(a, b) for a, b in zip(kept.pictures, first.pictures, strict=True))


@pytest.mark.parametrize("stop", [1.0, 0.5])
def test_draws_are_those_of_the_pipeline(stop):
    """K experts that have not moved draw what the base draws, prompt by prompt, whatever their number of prompts."""
    base = tiny_base()
    settings = SETTINGS.model_copy(update={"method": "lora", "batch_size": 1, "guidance_scale": 3.0,
                                           "guidance_stop": stop})  # fmt: skip
    prompts = [["a red cat", "a green cat", "a blue cat"], [], ["a dog"]]
    make = lambda k, i: torch_generator(k, i)  # noqa: E731
    with stacked_unet(base, fine_tuning(settings), [torch_generator(k) for k in range(3)], FP32):
        drawn = draw_experts(base, [[(p, make(k, i)) for i, p in enumerate(ps)] for k, ps in enumerate(prompts)],
                             Sampling.of(settings), FP32, settings.batch_size)  # fmt: skip
    assert [d.shape for d in drawn] == [(3, 16, 16, 3), (0, 16, 16, 3), (1, 16, 16, 3)]
    for k, asked in enumerate(prompts):
        for i, prompt in enumerate(asked):
            wanted = draw(base, [prompt], None, [make(k, i)], Sampling(2, 3.0, guidance_stop=stop))
            assert np.abs(drawn[k][i].astype(int) - wanted[0].astype(int)).max() <= 1


def test_a_diverged_expert_is_dropped_with_its_reason(tmp_path):
    base = tiny_base()
    wild = SETTINGS.model_copy(update={"learning_rate": 1e30, "steps": 6})
    (result,) = run(base, task(), settings=wild, kept=tmp_path)
    assert result.log["status"] == "diverged" and result.samples == [] and result.pictures == []
    assert not list(tmp_path.iterdir())
    (healthy,), (fresh,) = run(base, task()), run(tiny_base(), task())
    assert all(np.array_equal(a, b) for a, b in zip(healthy.pictures, fresh.pictures, strict=True))


def test_identifier_goes_before_the_class_word():
    assert with_identifier("a Dog in the snow", "dog", "sks") == "a sks Dog in the snow"
    assert with_identifier("a dogma", "dog", "sks") == "sks a dogma"


def test_every_method_draws_the_benchmark_and_leaves_the_models_as_they_were():
    base = tiny_base()
    subject = BenchmarkSubject(
        "s", "cat", tuple((p, "a cat") for p in pictures(4)), (("00", "a cat in the snow"), ("01", "a red cat"))
    )
    pipe = SuTIPipeline.of(base.with_network(ApprenticeUNet.from_base(base.unet, "random")))
    pipe.base.freeze()
    tuning = FineTuning("full", 2, 2, 1e-2)
    suti = draw_suti(pipe, subject, 3, SAMPLING, FP32, 0)
    assert [r["sample_id"] for r in suti.rows] == ["s__00__0", "s__00__1", "s__01__0", "s__01__1"]
    assert suti.images.shape == (4, 16, 16, 3)
    dream = draw_dream_suti(pipe.base, subject, DreamSuTI(tuning), SAMPLING, FP32, 0)
    booth = draw_dreambooth(base, subject, DreamBooth(tuning, "sks"), SAMPLING, FP32, 0)
    prior = draw_dreambooth(base, subject, DreamBooth(tuning, "sks", 2), SAMPLING, FP32, 0)
    assert booth.stored_bytes == 2 * sum(p.numel() for p in base.unet.parameters()) and suti.stored_bytes == 0
    assert not np.array_equal(booth.images, prior.images) and not np.array_equal(dream.images, suti.images)
    assert booth.optimisation_seconds > 0 and suti.optimisation_seconds == 0
    assert np.array_equal(draw_suti(pipe, subject, 3, SAMPLING, FP32, 0).images, suti.images)
    one = BenchmarkSubject("s", "cat", subject.demonstrations[:1], subject.prompts)
    with pytest.raises(ValueError, match="has 1 demonstration, expected at least 2"):
        draw_dream_suti(pipe.base, one, DreamSuTI(tuning), SAMPLING, FP32, 0)
