"""Trains the 64 to 256 px stage: a diffusion model of the detail that the low-resolution picture lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DModel

from suti.compute import in_layout, to_device
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
from suti.seeds import stable_hash
from suti.small_models.companions import Tensors, to_float
from suti.small_models.corruptions import blur
from suti.small_models.loop import LoopSettings, train
from suti.small_models.pool import Pool, Stream
from suti.small_models.records import Judge, evaluate, store_half
from suti.small_models.store import Store
from suti.small_models.streams import LARGE_SIZE, large_stream
from suti.small_models.vae import absolute_errors
from suti.small_models.views import draw_views, to_tensor

BATCH: Final = 16
BLOCKS: Final = 110  # of the pool that are drawn from
USES: Final = 8.0  # of a picture in a run by steps
MAX_NOISE_LEVEL: Final = 0.25
EDGE_WEIGHT: Final = 0.5
NOISE_POWER: Final = 0.6


def new_stage(seed: int) -> tuple[UNet2DModel, DDIMScheduler]:
    """The untrained UNet, about 2.5M parameters on a 64 x 64 grid of patches, and its schedule.

    Its last layer starts at 0, so the untrained stage enlarges as bicubic interpolation does.
    """
    torch.manual_seed(stable_hash(seed, "super_resolution", "init", bits=56))
    unet = UNet2DModel(
        sample_size=LARGE_SIZE // PATCH,
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


def reduce(x: torch.Tensor) -> torch.Tensor:
    """256 px to 64 px by averaging 4 x 4 pixels: what the renderer's anti-aliasing does."""
    return F.avg_pool2d(x, FACTOR)


def train_super_resolution(
    settings: LoopSettings,
    folder: str | Path,
    checkpoint: Path | None = None,
    log: Path | None = None,
    pool: Path | None = None,
    initial: Path | None = None,
    *,
    batch_size: int = BATCH,
    stream: Stream | None = None,
    judge: Judge | None = None,
) -> None:
    """Train the stage and write its folder (``PixelSuperResolution.from_pretrained``).

    Args:
        pool: folder of rendered pictures that trainers share; None: the pictures are rendered here.
        initial: folder of a stage to go on from; None: new weights.
        stream: pictures to draw from; None: ``large_stream``.
        judge: (folder, seed) -> held-out figures; None: ``evaluate_super_resolution``.
    """
    unet, scheduler = new_stage(settings.seed)
    if initial is not None:
        stage = PixelSuperResolution.from_pretrained(initial)
        unet, scheduler = stage.unet.requires_grad_(True), stage.scheduler
    device = torch.device(settings.device)
    in_layout(to_device(unet, device), torch.channels_last)
    renders = Pool(pool, stream or large_stream(settings.seed))
    fresh = None if settings.seconds is not None and pool is not None else batch_size / USES
    blocks = BLOCKS if fresh is None else min(BLOCKS, int(settings.steps * fresh) // renders.stream.block + 1)

    def read(pool: Pool, number: int) -> Tensors:
        return {"images": torch.from_numpy(np.array(pool.block(number)[0]))}

    pictures = Store(renders, blocks, read, device, fresh=fresh)
    alphas = scheduler.alphas_cumprod.to(device)

    def draw(step: int) -> Tensors:
        return pictures.draw("super_resolution", settings.seed, step, batch_size)

    def loss(batch: Tensors) -> dict[str, torch.Tensor]:
        high = to_float(batch["images"])
        # A base's pictures are a little soft and not free of noise; the stage learns to enlarge those sharply.
        softness = 0.5 * torch.rand(len(high), 1, 1, 1, device=device) ** 2
        low = blur(reduce(high), softness)
        level = torch.rand(len(high), device=device) * MAX_NOISE_LEVEL
        low = augment_low(low, torch.randn_like(low), level)
        residual = F.pixel_unshuffle((high - enlarge(low)) * RESIDUAL_SCALE, PATCH)
        # High noise more often: a few DDIM steps begin there, and what the first draws the next ones only correct.
        t = (1000 * torch.rand(len(high), device=device) ** NOISE_POWER).long().clamp(max=999)
        a = alphas[t][:, None, None, None]
        noisy = a.sqrt() * residual + (1 - a).sqrt() * torch.randn_like(residual)
        # The residual itself is predicted: an error of the network is then blur, where with v it would be noise.
        # Absolute errors, because squared ones answer doubt about an edge's place with a soft edge.
        given = unet_input(noisy, low).contiguous(memory_format=torch.channels_last)
        predicted = unet(given, t, class_labels=level * 1000).sample
        # Errors of steps between neighbouring pixels too: half a step here and half a step there costs as much as no
        # step at all, so the loss is least where the whole step is at its likeliest place.
        pixels, edges = absolute_errors(F.pixel_shuffle(predicted.float(), PATCH), F.pixel_shuffle(residual, PATCH))
        return {"loss": pixels + EDGE_WEIGHT * edges, "pixels": pixels}

    spent = train(unet, loss, settings, checkpoint, log, draw)
    with atomic_path(folder) as part:
        in_layout(to_device(unet, "cpu"), torch.contiguous_format).save_pretrained(part / "unet")
        scheduler.save_pretrained(part / "scheduler")
        index = {"_class_name": "PixelSuperResolution", "unet": ["diffusers", "UNet2DModel"]}
        write_json(part / "model_index.json", index | {"scheduler": ["diffusers", "DDIMScheduler"]})
        store_half(part)
    extra: dict[str, Any] = {"batch_size": batch_size, "max_noise_level": MAX_NOISE_LEVEL, "edge_weight": EDGE_WEIGHT}
    extra |= {} if initial is None else {"initial": str(initial)}
    evaluate(folder, settings, spent, judge or evaluate_super_resolution, extra)


def psnr(images: np.ndarray, truth: np.ndarray) -> float:
    """Mean peak signal-to-noise ratio of uint8 pictures, dB."""
    error = ((images.astype(np.float64) - truth) ** 2).mean((1, 2, 3)).clip(1e-6)
    return float((10 * np.log10(255.0**2 / error)).mean())


def low_and_high(key: tuple[Any, ...], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Held-out pairs, uint8 ``(N, 64, 64, 3)`` and ``(N, 256, 256, 3)``."""
    high = draw_views(*key, subjects=count, views=1, size=LARGE_SIZE).flat()[0]
    low = (reduce(to_tensor(high)) + 1) * 127.5
    return low.round().permute(0, 2, 3, 1).to(torch.uint8).numpy(), high


def bicubic(images: np.ndarray) -> np.ndarray:
    """uint8 ``(N, 64, 64, 3)`` to ``(N, 256, 256, 3)``."""
    big = (enlarge(to_tensor(images)).clamp(-1, 1) + 1) * 127.5
    return big.round().permute(0, 2, 3, 1).to(torch.uint8).numpy()


def evaluate_super_resolution(folder: str | Path, seed: int, count: int = 48) -> dict[str, Any]:
    """Held-out PSNR of the stage by noise level, against bicubic enlargement, and the sharpness of its edges.

    Sharpness: steepest steps between neighbouring pixels (99th percentile), as a share of the true render's.
    """
    stage = PixelSuperResolution.from_pretrained(folder)
    low, high = low_and_high(("held out", "super_resolution", seed), count)
    drawn = {level: stage.upscale(low, noise_level=level) for level in (0.0, 0.1, 0.2)}
    return {
        "psnr_bicubic": round(psnr(bicubic(low), high), 3),
        "psnr": {f"noise_{level}": round(psnr(images, high), 3) for level, images in drawn.items()},
        "sharpness_bicubic": round(sharpness(bicubic(low)) / sharpness(high), 3),
        "sharpness": {f"noise_{level}": round(sharpness(x) / sharpness(high), 3) for level, x in drawn.items()},
    }


def sharpness(images: np.ndarray) -> float:
    """Mean over pictures of the 99th percentile of steps between horizontal neighbours, in grey levels."""
    steps = np.abs(np.diff(images.astype(np.int16), axis=2)).max(-1)
    return float(np.percentile(steps.reshape(len(images), -1), 99, axis=1).mean())
