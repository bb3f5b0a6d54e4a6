"""Schedules: DDPM and flow matching give what diffusers' schedulers give, in training and in sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler

from suti.diffusion.sampling import sampling_scheduler
from suti.diffusion.schedules import Diffusion, Flow
from suti.diffusion.settings import Sampling

CPU = torch.device("cpu")
FLOWS = {
    "as it is": (FlowMatchEulerDiscreteScheduler(), None),
    "shift 3": (FlowMatchEulerDiscreteScheduler(shift=3.0), None),
    "by size": (FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15), 1024),
    "by size, linear": (FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, time_shift_type="linear"), 256),
}
SHAPE = (2, 3, 4, 4)


def noises(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    x, noise = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(seed))
    return x, noise


def generators() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(SHAPE[0])]


def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A made-up network: depends on its input and on its time."""
    return torch.tanh(x) * (1 + t.view(-1, 1, 1, 1) / 1000)


@pytest.mark.parametrize("name", FLOWS)
def test_flow_training_is_that_of_diffusers(name: str) -> None:
    scheduler, tokens = FLOWS[name]
    flow, (x, noise) = Flow(scheduler, tokens), noises()
    scheduler.set_timesteps(7, mu=flow.mu)
    for step in (0, 3, 6):
        t = scheduler.timesteps[step].expand(2)
        torch.testing.assert_close(flow.noisy(x, noise, t), scheduler.scale_noise(x, t, noise), rtol=1e-5, atol=1e-6)
    # times of u are the scheduler's own shift of u
    u = torch.linspace(0.01, 0.99, 9)
    config = scheduler.config
    shifted = scheduler.time_shift(flow.mu, 1.0, u) if flow.mu is not None else config.shift * u / (
        1 + (config.shift - 1) * u
    )  # fmt: skip
    torch.testing.assert_close(flow.times(u), 1000 * shifted, rtol=1e-5, atol=1e-3)
    assert flow.times(torch.zeros(1)).item() == 0 and bool((flow.times(u).diff() > 0).all())


@pytest.mark.parametrize("name", FLOWS)
def test_flow_sampling_is_that_of_diffusers(name: str) -> None:
    scheduler, tokens = FLOWS[name]
    flow = Flow(scheduler, tokens)
    done: list[int] = []
    found = flow.sample(velocity, SHAPE, Sampling(5), generators(), CPU, callback=done.append)
    scheduler.set_timesteps(5, mu=flow.mu)
    x = torch.stack([torch.randn(SHAPE[1:], generator=g) for g in generators()])
    for t in scheduler.timesteps:
        x = scheduler.step(velocity(x, t.expand(2)), t, x).prev_sample
    torch.testing.assert_close(found, x, rtol=0, atol=0)
    assert done == [1, 2, 3, 4, 5]


def test_mu_is_that_of_diffusers_pipelines() -> None:
    from diffusers.pipelines.flux.pipeline_flux import calculate_shift

    scheduler, _ = FLOWS["by size"]
    for tokens in (256, 1000, 4096):
        assert Flow(scheduler, tokens).mu == pytest.approx(calculate_shift(tokens))


def test_flow_converts_between_x_start_velocity_and_noise() -> None:
    flow, (x, noise) = Flow(FLOWS["shift 3"][0]), noises()
    t = flow.times(torch.tensor([0.2, 0.9]))
    mixed, target = flow.noisy(x, noise, t), flow.target(x, noise, t)
    torch.testing.assert_close(flow.x_start_of(target, mixed, t), x)
    torch.testing.assert_close(flow.noise_of(target, mixed, t), noise)
    alpha, sigma = flow.alpha_sigma(t, x)
    torch.testing.assert_close(alpha + sigma, torch.ones(2, 1, 1, 1))
    # the target is the path's derivative by sigma
    later = flow.noisy(x.double(), noise.double(), t.double() + 1e-3)
    torch.testing.assert_close((later - flow.noisy(x.double(), noise.double(), t.double())) / 1e-6, target.double(),
                               rtol=1e-4, atol=1e-4)  # fmt: skip


def test_flow_steps_along_the_true_velocity_end_at_the_picture() -> None:
    flow, (x, _) = Flow(FLOWS["shift 3"][0]), noises()
    start = torch.stack([torch.randn(SHAPE[1:], generator=g) for g in generators()])
    found = flow.sample(lambda *_: start - x, SHAPE, Sampling(3), generators(), CPU)
    torch.testing.assert_close(found, x, rtol=1e-5, atol=1e-5)


def test_what_flow_cannot_do_is_named() -> None:
    with pytest.raises(ValueError, match="tokens: None"):
        Flow(FLOWS["by size"][0]).times(torch.rand(2))
    noisy = FlowMatchEulerDiscreteScheduler(stochastic_sampling=True)
    with pytest.raises(ValueError, match="stochastic_sampling"):
        Flow(noisy).sample(velocity, SHAPE, Sampling(2), generators(), CPU)
    with pytest.raises(ValueError, match="one for each of the 2 rows"):
        Flow(FLOWS["as it is"][0]).sample(velocity, SHAPE, Sampling(2), generators()[:1], CPU)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_diffusion_training_is_that_of_diffusers(kind: str) -> None:
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type=kind)
    schedule, (x, noise) = Diffusion(scheduler), noises()
    t = schedule.times(torch.tensor([0.0, 0.9999999]))
    assert t.tolist() == [0, 999] and t.dtype == torch.long
    assert torch.equal(schedule.noisy(x, noise, t), scheduler.add_noise(x, noise, t))
    wanted = {"epsilon": noise, "v_prediction": scheduler.get_velocity(x, noise, t), "sample": x}[kind]
    assert torch.equal(schedule.target(x, noise, t), wanted)
    with pytest.raises(ValueError, match="'flow'"):
        Diffusion(DDPMScheduler(prediction_type="flow")).target(x, noise, t)


def test_times_of_training_are_uniform_and_keyed() -> None:
    for schedule in (Diffusion(DDPMScheduler(num_train_timesteps=100)), Flow(FLOWS["as it is"][0])):
        drawn, again = (schedule.random_times(20_000, torch.Generator().manual_seed(0)) for _ in range(2))
        assert torch.equal(drawn, again)
        times = drawn.double() / schedule.end
        assert times.min() >= 0 and times.max() < 1
        quarters = np.histogram(times.numpy(), bins=4, range=(0, 1))[0]
        assert abs(quarters - 5_000).max() < 300, "five standard deviations"


def test_diffusion_takes_the_draws_that_experts_always_took() -> None:
    """Keyed randomness: one ``randint`` a step. Another draw would make every expert another."""
    schedule = Diffusion(DDPMScheduler())
    make = lambda: torch.Generator().manual_seed(3)  # noqa: E731
    assert torch.equal(schedule.random_times(5, make()), torch.randint(1000, (5,), generator=make()))


@pytest.mark.parametrize(("bounded", "thresholding"), [(True, False), (True, True), (False, True)])
def test_diffusion_sampling_is_that_of_diffusers(bounded: bool, thresholding: bool) -> None:
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    sampling = Sampling(4, dynamic_thresholding=thresholding)
    found = Diffusion(scheduler).sample(velocity, SHAPE, sampling, generators(), CPU, bounded)
    steps = sampling_scheduler(scheduler, pixel=bounded, dynamic_thresholding=thresholding)
    assert (steps.config.clip_sample, steps.config.thresholding) == (
        bounded and not thresholding,
        bounded and thresholding,
    )
    steps.set_timesteps(4)
    noise = generators()
    x = torch.stack([torch.randn(SHAPE[1:], generator=g) for g in noise])
    for t in steps.timesteps:
        x = steps.step(velocity(x, t.expand(2)), t, x, generator=noise).prev_sample
    assert torch.equal(found, x)
