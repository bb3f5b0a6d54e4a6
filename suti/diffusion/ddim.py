"""Deterministic DDIM steps (Song et al., arXiv 2010.02502, Eq. 12 with sigma = 0), in either direction.

diffusers' DDIM schedulers step by ``num_train_timesteps // num_inference_steps``. At trailing spacing and a number of
steps that does not divide 1000 that misses the timestep that comes next, and an inversion would not come back. Here a
step is between two named timesteps. Where the number divides, both agree (``tests/baselines/test_ddim.py``).
"""

from __future__ import annotations

import torch
from diffusers import DDPMScheduler

CLEAN = -1  # the timestep of x_0: no noise


def ddim_timesteps(scheduler: DDPMScheduler, num_inference_steps: int) -> list[int]:
    """Timesteps from the noisiest to ``CLEAN``, ``num_inference_steps + 1`` in all, at trailing spacing."""
    total = scheduler.config["num_train_timesteps"]
    if not 1 <= num_inference_steps <= total:
        raise ValueError(f"num_inference_steps: {num_inference_steps}, expected 1 to {total}")
    return [round(total * (1 - n / num_inference_steps)) - 1 for n in range(num_inference_steps)] + [CLEAN]


def alpha_bar(scheduler: DDPMScheduler, timestep: int) -> float:
    """Share of the signal's variance at a timestep; 1 at ``CLEAN``."""
    return 1.0 if timestep == CLEAN else float(scheduler.alphas_cumprod[timestep])


def epsilon_of(scheduler: DDPMScheduler, prediction: torch.Tensor, x: torch.Tensor, timestep: int) -> torch.Tensor:
    """The noise that a network's output at ``timestep`` means, for every prediction type; float32, as ``x``."""
    signal, noise = _scales(scheduler, timestep)
    prediction, x = prediction[:, : x.shape[1]].float(), x.float()
    kind = scheduler.config["prediction_type"]
    if kind == "epsilon":
        return prediction
    if kind == "v_prediction":
        return signal * prediction + noise * x
    if kind == "sample":
        return (x - signal * prediction) / noise
    raise ValueError(f"prediction_type: {kind!r}, expected epsilon, v_prediction or sample")


def ddim_step(
    scheduler: DDPMScheduler, prediction: torch.Tensor, x: torch.Tensor, timestep: int, to: int, clip: bool = False
) -> torch.Tensor:
    """x at timestep ``to``, from x at ``timestep`` and the network's output there.

    Args:
        prediction: ``(B, C or more, h, w)``; channels beyond those of ``x`` (a learned variance) are dropped.
        x: ``(B, C, h, w)``.
        to: a lower timestep, or ``CLEAN``.
        clip: clip the predicted x_0 to [-1, 1], as sampling does in pixel space. A base that predicts epsilon under a
            cosine schedule (DeepFloyd IF) needs it: at the noisiest timestep its x_0 is a quotient of near zeros.
    """
    signal, noise = _scales(scheduler, timestep)
    kind = scheduler.config["prediction_type"]
    prediction, x = prediction[:, : x.shape[1]].float(), x.float()
    # x_0 without a division where the network gives it without one: at the noisiest timestep the signal may be 0.
    if kind == "v_prediction":
        x_start = signal * x - noise * prediction
    elif kind == "sample":
        x_start = prediction
    else:
        x_start = (x - noise * prediction) / signal
    if clip:
        x_start = x_start.clamp(-1, 1)
    epsilon = epsilon_of(scheduler, prediction, x, timestep)
    next_signal, next_noise = _scales(scheduler, to)
    return next_signal * x_start + next_noise * epsilon


def ddim_inverse_step(
    scheduler: DDPMScheduler, prediction: torch.Tensor, x: torch.Tensor, timestep: int, to: int
) -> torch.Tensor:
    """x at the higher timestep ``to``, from x at ``timestep`` and the network's output for that x, called with ``to``.

    The exact inverse of ``ddim_step`` would need the output for the x that is looked for. As in Null-Text Inversion's
    and Prompt-to-Prompt's inversions, that for the x at hand stands in for it.
    """
    epsilon = epsilon_of(scheduler, prediction, x, to)
    signal, noise = _scales(scheduler, timestep)
    x_start = (x.float() - noise * epsilon) / signal
    next_signal, next_noise = _scales(scheduler, to)
    return next_signal * x_start + next_noise * epsilon


def _scales(scheduler: DDPMScheduler, timestep: int) -> tuple[float, float]:
    signal = alpha_bar(scheduler, timestep)
    return signal**0.5, (1 - signal) ** 0.5
