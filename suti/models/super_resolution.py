"""The shipped super-resolution stage: 64 to 256 px, for the embedded world. ``suti.models.cascade`` runs it.

As in Imagen, the stage is a diffusion model conditioned on the low-resolution picture, which is corrupted by
noise of a known level ("noise augmentation"): the model then forgives the base's flaws.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DModel
from torch import Tensor
from tqdm import tqdm

from suti.compute import to_device
from suti.seeds import torch_generator

PATCH = 4
FACTOR = 4
NOISE_LEVEL = 0.05
MAX_NOISE_LEVEL = 0.5
STEPS = 2
# The residual against the enlarged picture has a standard deviation of about .15 in [-1, 1]; diffusion wants
# about .5.
RESIDUAL_SCALE = 3.0


def augment_low(low: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Noise augmentation (Imagen, section 2.5), variance preserving. low: ``(N, 3, h, w)`` in [-1, 1]; level:
    ``(N,)``.
    """
    level = level[:, None, None, None]
    return (1 - level**2).sqrt() * low + level * noise


def enlarge(low: Tensor) -> Tensor:
    """Bicubic x 4 of ``(N, 3, h, w)``."""
    return F.interpolate(low, scale_factor=FACTOR, mode="bicubic", align_corners=False)


def unet_input(noisy: Tensor, low: Tensor) -> Tensor:
    """Channels of the UNet: the noisy residual in 4 x 4 patches (48) and the augmented low-resolution picture (3)."""
    return torch.cat([noisy, F.pixel_unshuffle(low, PATCH // FACTOR)], 1)


class PixelSuperResolution:
    """The shipped stage: a ``UNet2DModel`` on 4 x 4 patches of the residual, x_0-prediction, few DDIM steps.

    The noise level of the augmentation enters as class label (``class_embed_type="timestep"``).
    """

    def __init__(self, unet: UNet2DModel, scheduler: DDIMScheduler, device: torch.device | str = "cpu") -> None:
        self.unet = to_device(unet, device).eval().requires_grad_(False)
        self.scheduler = scheduler
        self.device = torch.device(device)

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: torch.device | str = "cpu") -> PixelSuperResolution:
        """The stage of a folder (or hub id) as ``suti.small_models.super_resolution`` writes it."""
        unet = UNet2DModel.from_pretrained(
            folder, subfolder="unet", torch_dtype=torch.float32, use_safetensors=True, low_cpu_mem_usage=False
        )
        return cls(unet, DDIMScheduler.from_pretrained(folder, subfolder="scheduler"), device)

    @property
    def input_size(self) -> int:
        """Side of the pictures that are enlarged, pixels."""
        return int(self.unet.config["sample_size"]) * PATCH // FACTOR

    def output_size(self, side: int) -> int:
        """Side of the enlarged pictures of ``side`` pixels.

        Raises:
            ValueError: the stage enlarges pictures of another side.
        """
        if side != self.input_size:
            raise ValueError(f"pictures are {side} x {side}, expected {self.input_size} x {self.input_size}")
        return side * FACTOR

    def arguments(
        self, noise_level: float | None, num_inference_steps: int | None, guidance_scale: float | None
    ) -> dict[str, Any]:
        """Keywords of ``upscale`` for a stage's settings, None being the default.

        Raises:
            ValueError: one is out of range; the message starts with its name.
        """
        if noise_level is not None and noise_level > MAX_NOISE_LEVEL:
            raise ValueError(f"noise_level: {noise_level}, expected a number in [0, {MAX_NOISE_LEVEL}]")
        if guidance_scale is not None:
            raise ValueError(f"guidance_scale: {guidance_scale}, expected null: this stage reads no text")
        return {
            "noise_level": NOISE_LEVEL if noise_level is None else noise_level,
            "num_inference_steps": num_inference_steps or STEPS,
        }

    @torch.inference_mode()
    def upscale(
        self,
        images: np.ndarray | Sequence[np.ndarray],
        prompts: Sequence[str] | None = None,
        generator: torch.Generator | None = None,
        noise_level: float = NOISE_LEVEL,
        num_inference_steps: int = STEPS,
        batch_size: int = 16,
    ) -> np.ndarray:
        """Enlarge pictures.

        Args:
            images: uint8 ``(N, 64, 64, 3)``.
            prompts: not read by this stage; text has done its work in the base.
            generator: CPU generator of all noise; None is a fixed seed. Draws go picture by picture, so a
                result depends on its place in the list, not on ``batch_size``.
            noise_level: of the augmentation, in [0, .5]; more of it hides more of the base's flaws.
            num_inference_steps: DDIM steps.

        Returns:
            uint8 ``(N, 256, 256, 3)``.

        Raises:
            ValueError: pictures of another size, or a noise level out of range.
        """
        size = self.input_size
        if len(images) == 0:
            return np.zeros((0, size * FACTOR, size * FACTOR, 3), np.uint8)
        if not 0 <= noise_level <= MAX_NOISE_LEVEL:
            raise ValueError(f"noise_level: {noise_level}, expected a number in [0, {MAX_NOISE_LEVEL}]")
        for index, image in enumerate(images):
            if image.shape != (size, size, 3):
                raise ValueError(f"super-resolution: image {index} is {image.shape}, expected ({size}, {size}, 3)")
        generator = generator or torch_generator("super_resolution")
        shape = (3 * PATCH**2, size * FACTOR // PATCH, size * FACTOR // PATCH)
        parts = []
        starts = range(0, len(images), batch_size)
        for start in tqdm(starts, desc="super-resolution", disable=len(starts) == 1, mininterval=5):
            low = torch.from_numpy(np.stack(list(images[start : start + batch_size]))).permute(0, 3, 1, 2).float()
            # Both draws of a picture together; DDIM's later steps draw nothing.
            draws = [
                (torch.randn((3, size, size), generator=generator), torch.randn(shape, generator=generator))
                for _ in low
            ]
            noise, x = (torch.stack(part) for part in zip(*draws, strict=True))
            parts.append(self._sample(low / 127.5 - 1, noise, x, noise_level, num_inference_steps))
        return np.concatenate(parts)

    def _sample(self, low: Tensor, noise: Tensor, x: Tensor, level: float, steps: int) -> np.ndarray:
        levels = torch.full((len(low),), level, device=self.device)
        low = augment_low(low.to(self.device), noise.to(self.device), levels)
        x = x.to(self.device)
        self.scheduler.set_timesteps(steps)
        for t in self.scheduler.timesteps:
            predicted = self.unet(unet_input(x, low), t, class_labels=levels * 1000).sample
            x = self.scheduler.step(predicted, t, x)[0]
        picture = enlarge(low) + F.pixel_shuffle(x, PATCH) / RESIDUAL_SCALE
        return ((picture.clamp(-1, 1) + 1) * 127.5).round().permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
