"""DDPM sampling with classifier-free guidance (Ho et al. 2020; Ho and Salimans 2022) and Imagen's thresholding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    if scheduler.config.variance_type in ("learned", "learned_range"):
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
    if len(generators) != shape[0]:
        raise ValueError(f"generators: {len(generators)}, expected one for each of the {shape[0]} rows")
    scheduler.set_timesteps(num_inference_steps, device=device)
    x = _noise(shape, generators, device)
    for number, timestep in enumerate(scheduler.timesteps):
        steps = timestep.expand(shape[0])
        prediction = denoiser(x, steps)[:, : shape[1]].float()
        x = scheduler.step(prediction, timestep, x, generator=list(generators)).prev_sample
        if callback is not None:
            callback(number + 1)
    return x


def _noise(shape: tuple[int, ...], generators: Sequence[torch.Generator], device: torch.device) -> torch.Tensor:
    return torch.stack([torch.randn(shape[1:], generator=g) for g in generators]).to(device)
