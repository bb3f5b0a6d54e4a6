"""Super-resolution after the base: 32 to 64 px for the embedded world, diffusers' own stages for real bases.

As in Imagen, the stage is a diffusion model conditioned on the low-resolution picture, which is corrupted by
noise of a known level ("noise augmentation"): the model then forgives the base's flaws.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DModel
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from suti.config.schema import Compute
from suti.devices import pick_device
from suti.seeds import torch_generator

PATCH = 2
FACTOR = 2
NOISE_LEVEL = 0.05
STEPS = 2
# The residual against the enlarged picture has a standard deviation of about .2 in [-1, 1]; diffusion wants
# about .5.
RESIDUAL_SCALE = 2.5


class SuperResolution(Protocol):
    """A stage that enlarges finished pictures."""

    def upscale(
        self,
        images: np.ndarray | Sequence[np.ndarray],
        prompts: Sequence[str] | None = None,
        generator: torch.Generator | None = None,
    ) -> np.ndarray:
        """uint8 ``(N, H, W, 3)`` to uint8 ``(N, factor H, factor W, 3)``."""
        ...


def augment_low(low: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Noise augmentation (Imagen, section 2.5), variance preserving. low: ``(N, 3, h, w)`` in [-1, 1]; level:
    ``(N,)``.
    """
    level = level[:, None, None, None]
    return (1 - level**2).sqrt() * low + level * noise


def enlarge(low: Tensor) -> Tensor:
    """Bicubic x 2 of ``(N, 3, h, w)``."""
    return F.interpolate(low, scale_factor=FACTOR, mode="bicubic", align_corners=False)


def unet_input(noisy: Tensor, low: Tensor) -> Tensor:
    """Channels of the UNet: the noisy residual in 2 x 2 patches (12) and the augmented low-resolution picture (3)."""
    return torch.cat([noisy, F.pixel_unshuffle(low, PATCH // FACTOR)], 1)


class PixelSuperResolution:
    """The shipped stage: a ``UNet2DModel`` on 2 x 2 patches of the residual, x_0-prediction, few DDIM steps.

    The noise level of the augmentation enters as class label (``class_embed_type="timestep"``).
    """

    def __init__(self, unet: UNet2DModel, scheduler: DDIMScheduler, device: torch.device | str = "cpu") -> None:
        self.unet = unet.to(device).eval().requires_grad_(False)
        self.scheduler = scheduler
        self.device = torch.device(device)

    @torch.inference_mode()
    def upscale(
        self,
        images: np.ndarray | Sequence[np.ndarray],
        prompts: Sequence[str] | None = None,
        generator: torch.Generator | None = None,
        noise_level: float = NOISE_LEVEL,
        num_inference_steps: int = STEPS,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Enlarge pictures.

        Args:
            images: uint8 ``(N, 32, 32, 3)``.
            prompts: not read by this stage; text has done its work in the base.
            generator: CPU generator of all noise; None is a fixed seed. Draws go picture by picture, so a
                result depends on its place in the list, not on ``batch_size``.
            noise_level: of the augmentation, in [0, .5]; more of it hides more of the base's flaws.
            num_inference_steps: DDIM steps.

        Returns:
            uint8 ``(N, 64, 64, 3)``.

        Raises:
            ValueError: pictures of another size, or a noise level out of range.
        """
        size = self.unet.config.sample_size * PATCH // FACTOR
        if len(images) == 0:
            return np.zeros((0, size * FACTOR, size * FACTOR, 3), np.uint8)
        if not 0 <= noise_level <= 0.5:
            raise ValueError(f"noise_level: {noise_level}, expected a number in [0, 0.5]")
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
            x = self.scheduler.step(predicted, t, x).prev_sample
        picture = enlarge(low) + F.pixel_shuffle(x, PATCH) / RESIDUAL_SCALE
        return ((picture.clamp(-1, 1) + 1) * 127.5).round().permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()


class PipelineSuperResolution:
    """A diffusers upscaling pipeline, e.g. DeepFloyd's ``IFSuperResolutionPipeline``."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    def upscale(
        self,
        images: np.ndarray | Sequence[np.ndarray],
        prompts: Sequence[str] | None = None,
        generator: torch.Generator | None = None,
    ) -> np.ndarray:
        """Enlarge pictures one by one under their prompts; see ``SuperResolution.upscale``.

        Raises:
            ValueError: no prompts, which these pipelines need.
        """
        if prompts is None or len(prompts) != len(images):
            raise ValueError(
                f"super-resolution: {len(images)} images need as many prompts, got {prompts and len(prompts)}"
            )
        results = []
        for image, prompt in zip(images, prompts, strict=True):
            picture = Image.fromarray(image)
            results.append(np.asarray(self.pipeline(prompt=prompt, image=picture, generator=generator).images[0]))
        return np.stack(results)


def load_super_resolution(spec: str, compute: Compute | None = None) -> SuperResolution:
    """The shipped kind of stage, or any diffusers upscaling pipeline (folder or hub id).

    Raises:
        FileNotFoundError: the spec looks like a path and no such folder exists (names the remedy).
    """
    device = pick_device(compute) if compute else torch.device("cpu")
    folder = Path(spec).expanduser()
    if not folder.is_dir() and (spec.startswith((".", "/", "~", "results/", "resources/")) or spec.count("/") != 1):
        raise FileNotFoundError(
            f"models.super_resolution: model folder {spec!r} does not exist; name a folder or hub id, "
            "train the small models with `make models`, or set models.super_resolution to null"
        )
    index = folder / "model_index.json"
    if index.is_file() and json.loads(index.read_text()).get("_class_name") == "PixelSuperResolution":
        unet = UNet2DModel.from_pretrained(
            folder, subfolder="unet", torch_dtype=torch.float32, use_safetensors=True, low_cpu_mem_usage=False
        )
        return PixelSuperResolution(unet, DDIMScheduler.from_pretrained(folder, subfolder="scheduler"), device)
    from diffusers import DiffusionPipeline

    return PipelineSuperResolution(DiffusionPipeline.from_pretrained(spec, use_safetensors=True).to(device))
