"""DDIM steps against diffusers' schedulers and against themselves."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler, DDPMScheduler

from suti.diffusion.ddim import CLEAN, ddim_inverse_step, ddim_step, ddim_timesteps

KINDS = ("epsilon", "v_prediction", "sample")


def schedule(kind: str) -> DDPMScheduler:
    return DDPMScheduler(beta_schedule="scaled_linear", prediction_type=kind, clip_sample=False)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_equal_diffusers(kind: str) -> None:
    ours = schedule(kind)
    theirs = DDIMScheduler.from_config(ours.config, timestep_spacing="trailing", set_alpha_to_one=True)
    theirs.set_timesteps(20)
    timesteps = ddim_timesteps(ours, 20)
    assert timesteps[:-1] == theirs.timesteps.tolist()
    assert timesteps[-1] == CLEAN
    rng = torch.Generator().manual_seed(0)
    x, prediction = (torch.randn(2, 3, 4, 4, generator=rng) for _ in range(2))
    for here, there in pairwise(timesteps):
        wanted = theirs.step(prediction, here, x).prev_sample
        torch.testing.assert_close(ddim_step(ours, prediction, x, here, there), wanted, rtol=1e-4, atol=1e-4)


def test_inverse_steps_equal_diffusers() -> None:
    """For epsilon, where what the network says does not depend on the timestep that it is taken at."""
    ours = schedule("epsilon")
    theirs = DDIMInverseScheduler.from_config(ours.config, timestep_spacing="trailing", set_alpha_to_one=True)
    theirs.set_timesteps(20)
    x, prediction = torch.randn(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    upwards = ddim_timesteps(ours, 20)[::-1]
    assert upwards[1:] == theirs.timesteps.tolist()
    for here, there in pairwise(upwards):
        wanted = theirs.step(prediction, there, x).prev_sample
        torch.testing.assert_close(ddim_inverse_step(ours, prediction, x, here, there), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_back_undoes_a_step(kind: str) -> None:
    """If the network says the same noise for both x, the inversion is exact."""
    ours = schedule(kind)
    noise = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    x = torch.full((1, 3, 4, 4), 0.3)

    def says(x: torch.Tensor, timestep: int) -> torch.Tensor:
        a = float(ours.alphas_cumprod[timestep])
        x_start = (x - (1 - a) ** 0.5 * noise) / a**0.5
        return {"epsilon": noise, "v_prediction": a**0.5 * noise - (1 - a) ** 0.5 * x_start, "sample": x_start}[kind]

    high = ddim_step(ours, says(x, 499), x, 499, 199)
    torch.testing.assert_close(ddim_inverse_step(ours, says(high, 499), high, 199, 499), x, rtol=1e-3, atol=1e-3)


def test_steps_that_do_not_divide_the_schedule() -> None:
    timesteps = ddim_timesteps(schedule("epsilon"), 16)
    assert (timesteps[0], timesteps[-1], len(timesteps)) == (999, CLEAN, 17)
    assert all(a > b for a, b in pairwise(timesteps))
    with pytest.raises(ValueError, match="num_inference_steps: 0"):
        ddim_timesteps(schedule("epsilon"), 0)
