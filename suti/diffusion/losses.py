"""Training losses: the denoising loss of Eq. 4 and 5, for every prediction type."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers import DDPMScheduler

Denoiser = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def training_target(
    scheduler: DDPMScheduler, x_start: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
) -> torch.Tensor:
    """What the network is trained to predict: epsilon, v or x_0, as the scheduler's ``prediction_type`` says."""
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        return scheduler.get_velocity(x_start, noise, timesteps)
    if kind == "sample":
        return x_start
    raise ValueError(f"prediction_type: {kind!r}, expected epsilon, v_prediction or sample")


def denoising_loss(
    denoiser: Denoiser,
    scheduler: DDPMScheduler,
    x_start: torch.Tensor,
    noise: torch.Tensor,
    timesteps: torch.Tensor,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean squared error of the denoiser, a loss for each example (Eq. 4 for experts, Eq. 5 for the apprentice).

    Args:
        denoiser: maps noisy inputs ``(B, C, h, w)`` and timesteps ``(B,)`` to a prediction; it closes over the
            conditions (text; for the apprentice the demonstrations too).
        x_start: ``(B, C, h, w)``, clean inputs of the UNet.
        noise: standard normal, as ``x_start``.
        timesteps: ``(B,)`` integers in [0, 1000).
        weight: optional ``(B, 1, h, w)`` weights of the cells.

    Returns:
        ``(B,)`` losses.
    """
    noisy = scheduler.add_noise(x_start, noise, timesteps)
    prediction = denoiser(noisy, timesteps)[:, : x_start.shape[1]]  # drops IF's learned variance
    error = (prediction.float() - training_target(scheduler, x_start, noise, timesteps).float()) ** 2
    if weight is not None:
        error = error * weight
    return error.flatten(1).mean(1)
