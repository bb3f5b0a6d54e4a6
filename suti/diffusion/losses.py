"""Training losses: the denoising loss of Eq. 4 and 5, for every schedule."""

from __future__ import annotations

import torch

from suti.diffusion.sampling import Denoiser
from suti.diffusion.schedules import Schedule


def denoising_loss(
    denoiser: Denoiser,
    schedule: Schedule,
    x_start: torch.Tensor,
    noise: torch.Tensor,
    timesteps: torch.Tensor,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean squared error of the denoiser, a loss for each example (Eq. 4 for experts, Eq. 5 for the apprentice).

    Args:
        denoiser: maps noisy inputs ``(B, C, h, w)`` and timesteps ``(B,)`` to a prediction; it closes over the
            conditions (text; for the apprentice the demonstrations too).
        x_start: ``(B, C, h, w)``, clean inputs of the network.
        noise: standard normal, as ``x_start``.
        timesteps: ``(B,)``, times of the schedule.
        weight: optional ``(B, 1, h, w)`` weights of the cells.

    Returns:
        ``(B,)`` losses.
    """
    noisy = schedule.noisy(x_start, noise, timesteps)
    prediction = denoiser(noisy, timesteps)
    error = (prediction.float() - schedule.target(x_start, noise, timesteps).float()) ** 2
    if weight is not None:
        error = error * weight
    return error.flatten(1).mean(1)
