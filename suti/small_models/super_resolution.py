"""Trains the 32 to 64 px stage: a diffusion model of the detail that the low-resolution picture lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DModel

from suti.compute import to_device
from suti.io.atomic import atomic_path, write_json
from suti.models.super_resolution import (
    FACTOR,
    PATCH,
    RESIDUAL_SCALE,
    PixelSuperResolution,
    augment_low,
    enlarge,
    unet_input,
)
from suti.seeds import generator, stable_hash, torch_generator
from suti.small_models.loop import LoopSettings, train
from suti.small_models.records import store_half, write_provenance
from suti.small_models.views import Pools, Views, draw_views, to_tensor

BATCH: Final = 16
POOL: Final = 768
STEPS_PER_POOL: Final = 48
MAX_NOISE_LEVEL: Final = 0.25


def new_stage(seed: int) -> tuple[UNet2DModel, DDIMScheduler]:
    """The untrained UNet, about 2.5M parameters on a 32 x 32 grid of patches, and its schedule.

    Its last layer starts at 0, so the untrained stage enlarges as bicubic interpolation does.
    """
    torch.manual_seed(stable_hash(seed, "super_resolution", "init", bits=56))
    unet = UNet2DModel(
        sample_size=64 // PATCH,
        in_channels=3 * PATCH**2 + 3 * (PATCH // FACTOR) ** 2,
        out_channels=3 * PATCH**2,
        block_out_channels=(32, 64, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D",) * 3,
        up_block_types=("UpBlock2D",) * 3,
        norm_num_groups=16,
        add_attention=False,
        class_embed_type="timestep",
    )
    torch.nn.init.zeros_(unet.conv_out.weight)
    torch.nn.init.zeros_(unet.conv_out.bias)
    scheduler = DDIMScheduler(
        num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2", prediction_type="sample",
        clip_sample=False, timestep_spacing="trailing", set_alpha_to_one=True,
    )  # fmt: skip
    return unet, scheduler


def sr_pool(seed: int, number: int) -> Views:
    """Renders at 64 px."""
    return draw_views("super_resolution", seed, number, subjects=POOL, views=1, size=64)


def halve(x: torch.Tensor) -> torch.Tensor:
    """64 px to 32 px by averaging 2 x 2 pixels: what the renderer's anti-aliasing does."""
    return F.avg_pool2d(x, 2)


def train_super_resolution(
    settings: LoopSettings, folder: str | Path, checkpoint: Path | None = None, log: Path | None = None
) -> None:
    """Train the stage and write its folder (``PixelSuperResolution.from_pretrained``)."""
    unet, scheduler = new_stage(settings.seed)
    pools = Pools(lambda number: sr_pool(settings.seed, number), STEPS_PER_POOL)
    alphas = scheduler.alphas_cumprod.to(settings.device)

    def loss(step: int) -> dict[str, torch.Tensor]:
        rng = generator(settings.seed, "super_resolution", "batch", step)
        draw = torch_generator(settings.seed, "super_resolution", "noise", step)
        rows = rng.integers(0, POOL, BATCH)
        high = to_tensor(pools.at(step).images[rows, 0])
        level = torch.rand(BATCH, generator=draw) * MAX_NOISE_LEVEL
        low = augment_low(halve(high), torch.randn((BATCH, 3, 32, 32), generator=draw), level)
        residual = F.pixel_unshuffle((high - enlarge(low)) * RESIDUAL_SCALE, PATCH)
        noise = torch.randn(residual.shape, generator=draw)
        t = torch.randint(0, 1000, (BATCH,), generator=draw)
        high, level, low, residual, noise, t = (v.to(settings.device) for v in (high, level, low, residual, noise, t))
        a = alphas[t][:, None, None, None]
        noisy = a.sqrt() * residual + (1 - a).sqrt() * noise
        # The residual itself is predicted: an error of the network is then blur, where with v it would be noise.
        predicted = unet(unet_input(noisy, low), t, class_labels=level * 1000).sample
        return {"loss": F.mse_loss(predicted.float(), residual)}

    seconds = train(unet, loss, settings, checkpoint, log)
    with atomic_path(folder) as part:
        to_device(unet, "cpu").save_pretrained(part / "unet")
        scheduler.save_pretrained(part / "scheduler")
        index = {"_class_name": "PixelSuperResolution", "unet": ["diffusers", "UNet2DModel"]}
        write_json(part / "model_index.json", index | {"scheduler": ["diffusers", "DDIMScheduler"]})
        store_half(part)
        extra = {"batch_size": BATCH, "max_noise_level": MAX_NOISE_LEVEL}
        write_provenance(part, settings, seconds, evaluate_super_resolution(part, settings.seed), extra)


def psnr(images: np.ndarray, truth: np.ndarray) -> float:
    """Mean peak signal-to-noise ratio of uint8 pictures, dB."""
    error = ((images.astype(np.float64) - truth) ** 2).mean((1, 2, 3)).clip(1e-6)
    return float((10 * np.log10(255.0**2 / error)).mean())


def low_and_high(key: tuple[Any, ...], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Held-out pairs, uint8 ``(N, 32, 32, 3)`` and ``(N, 64, 64, 3)``."""
    high = draw_views(*key, subjects=count, views=1, size=64).flat()[0]
    low = (halve(to_tensor(high)) + 1) * 127.5
    return low.round().permute(0, 2, 3, 1).to(torch.uint8).numpy(), high


def bicubic(images: np.ndarray) -> np.ndarray:
    """uint8 ``(N, 32, 32, 3)`` to ``(N, 64, 64, 3)``."""
    big = (enlarge(to_tensor(images)).clamp(-1, 1) + 1) * 127.5
    return big.round().permute(0, 2, 3, 1).to(torch.uint8).numpy()


def evaluate_super_resolution(folder: str | Path, seed: int, count: int = 128) -> dict[str, Any]:
    """Held-out PSNR of the stage by noise level, against bicubic enlargement."""
    stage = PixelSuperResolution.from_pretrained(folder)
    low, high = low_and_high(("held out", "super_resolution", seed), count)
    return {
        "psnr_bicubic": round(psnr(bicubic(low), high), 3),
        "psnr": {
            f"noise_{level}": round(psnr(stage.upscale(low, noise_level=level), high), 3) for level in (0.0, 0.1, 0.2)
        },
    }
