"""What a GPU does otherwise: norms, draws ahead of the device, memory, determinism. Skipped where there is none."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDPMScheduler

from suti.compute import prepare
from suti.config.schema import Compute
from suti.diffusion.schedules import Diffusion
from suti.experts.batched.draws import drawn_steps, step_draws
from suti.experts.batched.graphs import WARM_UP, WORTH
from suti.experts.batched.memory import expert_memory, fit_machine
from suti.experts.fine_tuning import TrainingSet
from suti.models.base import load_base
from tests.alone_and_together import CASES, alone, probe, same, subject, together, tuning
from tests.small_g import killed_and_resumed, run
from tests.tiny import tiny_base

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

SCHEDULE = Diffusion(DDPMScheduler())
FP32, BF16 = (Compute(precision=precision, device="cuda") for precision in ("fp32", "bf16"))


@pytest.fixture(autouse=True)
def no_tf32(monkeypatch):
    """Convolutions of float32 are computed in float32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.parametrize(("kind", "method"), CASES)
@pytest.mark.parametrize("steps", [3, WARM_UP + WORTH + 2], ids=["as written", "recorded"])
@pytest.mark.parametrize(("compute", "share"), [(FP32, 0.01), (BF16, 0.25)], ids=["fp32", "bf16"])
def test_each_of_many_is_what_it_is_alone(kind, method, steps, compute, share):
    """Differences are a share of what the training changed: rounding to bfloat16 moves a tiny base much."""
    base = tiny_base(kind).to(prepare(compute))
    settings = tuning(method, steps=steps, rate=1e-2 if method == "lora" else 3e-3)
    plain = base.unet(*probe(base)).sample
    out, losses, weights = together(base, [0, 1, 2], settings, compute=compute)
    for number in (0, 1, 2):
        wanted, loss = alone(base, number, settings, compute)
        assert (wanted - plain).norm() > 0.1 * plain.norm(), "training changed next to nothing"
        assert (out[number] - wanted).norm() < share * (wanted - plain).norm()
        assert losses[number] == pytest.approx(loss, rel=share / 5)
    _, again, found = together(base, [0, 1, 2], settings, compute=compute)
    assert again == losses and all(map(same, found, weights)), "the same training gave other bits"


def test_what_is_drawn_ahead_is_what_is_drawn():
    make = lambda seeds: [torch.Generator().manual_seed(seed) for seed in seeds]  # noqa: E731
    ahead, plain = make(range(5)), make(range(5))
    draw = lambda generators, pinned: step_draws(generators, [3, 4, 5, 3, 4], 2, (12, 8, 8), SCHEDULE, pinned)  # noqa: E731
    found = list(drawn_steps(lambda pinned: draw(ahead, pinned), 7, torch.device("cuda")))
    assert len(found) == 7
    for step in found:
        for got, want in zip(step, draw(plain, False), strict=True):
            assert got.is_cuda and torch.equal(got.cpu(), want)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("steps", [2, WARM_UP + WORTH], ids=["as written", "recorded"])
def test_a_diverged_expert_changes_no_bit_of_its_neighbours(method, steps):
    base, settings = tiny_base().to(prepare(BF16)), tuning(method, steps=steps)
    data = [subject(base, n) for n in (0, 1, 2)]
    out, losses, weights = together(base, [0, 1, 2], settings, data, compute=BF16)
    data[1] = TrainingSet(torch.full_like(data[1].x_start, torch.nan), data[1].conditions)
    ill_out, ill_losses, ill_weights = together(base, [0, 1, 2], settings, data, compute=BF16)
    assert not math.isfinite(ill_losses[1]) and math.isfinite(losses[1])
    for healthy in (0, 2):
        assert ill_losses[healthy] == losses[healthy] and torch.equal(ill_out[healthy], out[healthy])
        assert same(ill_weights[healthy], weights[healthy])


def test_the_memory_that_is_expected_is_about_what_is_taken():
    base = load_base("resources/models/base").to(prepare(BF16))
    settings = tuning(steps=WARM_UP + WORTH, rows=4)
    data = subject(base, 2)
    first, further = expert_memory(base, settings, BF16, data)
    count = 24
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    together(base, range(count), settings, [data] * count, compute=BF16)
    taken = torch.cuda.max_memory_allocated() - before
    assert 0.5 < taken / (count * (first + 3 * further)) < 1.6
    assert fit_machine("auto", "auto", base, settings, BF16, data).experts > 32


def test_an_apprentice_that_was_killed_ends_with_the_same_weights(tmp_path, monkeypatch):
    whole = run(tmp_path / "a", compute=BF16)
    assert next(whole.parameters()).is_cuda
    assert same(killed_and_resumed(tmp_path / "b", monkeypatch, compute=BF16).state_dict(), whole.state_dict())
