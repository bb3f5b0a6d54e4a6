"""DDPM sampling (Ho et al. 2020) with Imagen's thresholding, Euler steps of flows, and classifier-free guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import DDPMScheduler

Denoiser = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def sampling_scheduler(scheduler: DDPMScheduler, *, pixel: bool, dynamic_thresholding: bool) -> DDPMScheduler:
    """The base's noise schedule, set up for few-step sampling.

    Args:
        pixel: clip (or threshold) the predicted x_0, which only pixels have a range for.
        dynamic_thresholding: Imagen's dynamic thresholding at the 99.5 % quantile instead of clipping at 1.
    """
    changes: dict[str, object] = {"timestep_spacing": "trailing", "clip_sample": pixel and not dynamic_thresholding,
                                  "thresholding": pixel and dynamic_thresholding,
                                  "dynamic_thresholding_ratio": 0.995, "sample_max_value": 1.5}  # fmt: skip
    if scheduler.config["variance_type"] in ("learned", "learned_range"):
        changes["variance_type"] = "fixed_small_log"  # the learned half of the output is dropped (see losses)
    return DDPMScheduler.from_config(scheduler.config, **changes)


def guide(conditional: torch.Tensor, unconditional: torch.Tensor, guidance_scale: float) -> torch.Tensor:
    """Classifier-free guidance: ``unconditional + w (conditional - unconditional)``; w = 1 is no guidance."""
    return unconditional + guidance_scale * (conditional - unconditional)


@torch.no_grad()
def sample_ddpm(
    denoiser: Denoiser,
    scheduler: DDPMScheduler,
    shape: tuple[int, ...],
    generators: Sequence[torch.Generator],
    num_inference_steps: int,
    device: torch.device,
    callback: Callable[[int], None] | None = None,
) -> torch.Tensor:
    """Ancestral DDPM sampling.

    Args:
        denoiser: maps ``(B, C, h, w)`` and a timestep ``(B,)`` to the (guided) prediction.
        scheduler: from ``sampling_scheduler``.
        shape: ``(B, C, h, w)``.
        generators: one CPU generator a row, so that a row's noise does not depend on its batch.
        callback: called with the number of each finished step.

    Returns:
        Clean UNet inputs ``(B, C, h, w)``, float32.
    """
    scheduler.set_timesteps(num_inference_steps, device=device)
    x = _noise(shape, generators, device)
    for number, timestep in enumerate(scheduler.timesteps):
        steps = timestep.expand(shape[0])
        prediction = denoiser(x, steps).float()
        drawn: Any = list(generators)  # diffusers takes one a row too, and does not say so
        x = scheduler.step(prediction, timestep, x, generator=drawn)[0]
        if callback is not None:
            callback(number + 1)
    return x


@torch.no_grad()
def sample_euler(
    denoiser: Denoiser,
    times: torch.Tensor,
    sigmas: torch.Tensor,
    shape: tuple[int, ...],
    generators: Sequence[torch.Generator],
    device: torch.device,
    callback: Callable[[int], None] | None = None,
) -> torch.Tensor:
    """Euler steps along a velocity: ``x + (sigma' - sigma) velocity``.

    Args:
        times: ``(n,)``, what the denoiser is called with at each step.
        sigmas: ``(n + 1,)`` float32, shares of noise from the first step's to the end's.

    Returns:
        Clean inputs ``(B, C, h, w)``, float32.
    """
    x = _noise(shape, generators, device)
    for number, (time, sigma, following) in enumerate(zip(times, sigmas, sigmas[1:], strict=False)):
        x = x + (following - sigma) * denoiser(x, time.expand(shape[0])).float()
        if callback is not None:
            callback(number + 1)
    return x


def _noise(shape: tuple[int, ...], generators: Sequence[torch.Generator], device: torch.device) -> torch.Tensor:
    if len(generators) != shape[0]:
        raise ValueError(f"generators: {len(generators)}, expected one for each of the {shape[0]} rows")
    return torch.stack([torch.randn(shape[1:], generator=g) for g in generators]).to(device)
