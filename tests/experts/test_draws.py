"""What experts draw for a step, and steps that are repeated."""

from __future__ import annotations

import torch
from diffusers import DDPMScheduler

from suti.diffusion.schedules import Diffusion
from suti.experts.batched.draws import drawn_steps, step_draws
from suti.experts.batched.graphs import RepeatedStep

CPU = torch.device("cpu")


def test_an_expert_draws_among_others_what_it_draws_alone():
    sizes, shape, schedule = [3, 5, 4], (2, 6, 6), Diffusion(DDPMScheduler())
    make = lambda: [torch.Generator().manual_seed(seed) for seed in (7, 8, 9)]  # noqa: E731
    together, alone = make(), make()
    steps = list(drawn_steps(lambda pinned: step_draws(together, sizes, 4, shape, schedule, pinned), 3, CPU))
    assert len(steps) == 3
    for picks, noises, times in steps:
        start = 0
        for expert, (draw, size) in enumerate(zip(alone, sizes, strict=True)):
            # in the order of suti.experts.fine_tuning
            assert torch.equal(picks[expert], start + torch.randint(size, (4,), generator=draw))
            assert torch.equal(noises[expert], torch.randn((4, *shape), generator=draw))
            assert torch.equal(times[expert], torch.randint(1000, (4,), generator=draw))
            start += size


def test_on_the_cpu_a_repeated_step_is_the_step():
    seen = []

    def step(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        seen.append(a)
        return a + b

    repeated, one = RepeatedStep(step, CPU, 100), torch.ones(2)
    for number in range(9):
        assert torch.equal(repeated(one, one * number), one * (number + 1))
    assert len(seen) == 9 and all(a is one for a in seen)
