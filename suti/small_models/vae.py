"""Trains the base's variational autoencoder: 64 px pictures to 16 x 16 cells of 8 channels.

As in latent diffusion (arXiv 2112.10752), but for its adversarial term: flat colours with sharp outlines need
none. A term on the differences between neighbouring pixels keeps outlines and decals.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from suti.compute import in_layout, to_device
from suti.io.atomic import atomic_path
from suti.seeds import stable_hash
from suti.small_models.loop import LoopSettings, train
from suti.small_models.pool import Pool, Stream
from suti.small_models.records import store_half, write_provenance
from suti.small_models.store import Store, Tensors
from suti.small_models.streams import base_stream
from suti.small_models.views import draw_views, to_tensor

CHANNELS: Final = 8
IMAGE_SIZE: Final = 64
EDGE_WEIGHT: Final = 0.5
KL_WEIGHT: Final = 1e-3
Judge = Callable[[AutoencoderKL, int], dict[str, Any]]


def new_vae(seed: int) -> AutoencoderKL:
    """The untrained autoencoder, 1.4M parameters: factor 4, 8 channels, no attention."""
    torch.manual_seed(stable_hash(seed, "vae", "init", bits=56))
    return AutoencoderKL(
        in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3, block_out_channels=(16, 48, 96), layers_per_block=1,
        latent_channels=CHANNELS, norm_num_groups=8, mid_block_add_attention=False, sample_size=IMAGE_SIZE,
        scaling_factor=1.0,
    )  # fmt: skip


def differences(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of vertical and horizontal neighbours of ``(N, C, H, W)``."""
    return x[..., 1:, :] - x[..., :-1, :], x[..., :, 1:] - x[..., :, :-1]


def absolute_errors(made: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean absolute error of pixels, and of the differences of vertical and of horizontal neighbours, summed."""
    edges = [(a - b).abs().mean() for a, b in zip(differences(made), differences(images), strict=True)]
    return (made - images).abs().mean(), edges[0] + edges[1]


def vae_loss(vae: AutoencoderKL, images: Tensor) -> dict[str, Tensor]:
    """Reconstruction, edges and divergence of pictures ``(N, 3, H, W)`` in [-1, 1]."""
    posterior = vae.encode(images).latent_dist
    mean, log_variance = posterior.mean.float(), posterior.logvar.float()
    z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
    pixels, edges = absolute_errors(vae.decode(z).sample.float(), images)
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
    return {"loss": pixels + EDGE_WEIGHT * edges + KL_WEIGHT * divergence, "pixels": pixels, "kl": divergence}


def read_images(pool: Pool, block: int) -> Tensors:
    """The pictures of a block, uint8 ``(n, S, S, 3)``."""
    return {"images": torch.from_numpy(np.array(pool.block(block)[0]))}


def from_bytes(images: Tensor) -> Tensor:
    """uint8 ``(N, H, W, 3)`` to float ``(N, 3, H, W)`` in [-1, 1], channels last in memory."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def train_vae(
    settings: LoopSettings,
    folder: str | Path,
    checkpoint: Path | None = None,
    log: Path | None = None,
    *,
    pool: str | Path,
    batch_size: int = 24,
    blocks: int = 100,
    initial: str | Path | None = None,
    stream: Stream | None = None,
    judge: Judge | None = None,
) -> None:
    """Train the autoencoder and write its folder (``AutoencoderKL.from_pretrained``).

    Args:
        settings: see ``suti.small_models.loop``; with ``seconds`` a step takes whatever pictures are rendered.
        pool: folder of the pictures; blocks: of the pool that are used.
        initial: folder to go on from; None: new weights.
        stream: pictures to draw from; None: ``base_stream``.
        judge: (autoencoder, seed) -> held-out figures; None: ``evaluate_vae``.
    """
    device = torch.device(settings.device)
    vae = new_vae(settings.seed)
    if initial is not None:
        vae = AutoencoderKL.from_pretrained(initial, torch_dtype=torch.float32, use_safetensors=True)
    in_layout(vae, torch.channels_last)
    fresh = None if settings.seconds is not None else batch_size
    store = Store(Pool(pool, stream or base_stream(settings.seed)), blocks, read_images, device, fresh=fresh)
    if settings.compile:
        vae.encoder.compile(dynamic=False)
        vae.decoder.compile(dynamic=False)

    def draw(step: int) -> Tensors:
        return store.draw("vae", settings.seed, step, batch_size)

    def loss(batch: Tensors) -> dict[str, Tensor]:
        return vae_loss(vae, from_bytes(batch["images"]))

    spent = train(vae, loss, settings, checkpoint, log, draw)
    in_layout(vae, torch.contiguous_format).requires_grad_(False)
    views = draw_views("latents", "vae", settings.seed, subjects=256, views=1, size=IMAGE_SIZE)
    normalise(vae, to_tensor(views.flat()[0], device))
    to_device(vae, "cpu")
    with atomic_path(folder) as part:
        vae.save_pretrained(part)
        store_half(part)
        saved = AutoencoderKL.from_pretrained(part, torch_dtype=torch.float32).to(device)
        extra = {"batch_size": batch_size, "pictures_rendered": store.pictures, "edge_weight": EDGE_WEIGHT}
        write_provenance(part, settings, spent, (judge or evaluate_vae)(saved, settings.seed), extra)


def train_decoder(
    settings: LoopSettings,
    folder: str | Path,
    checkpoint: Path | None = None,
    log: Path | None = None,
    *,
    pool: str | Path,
    initial: str | Path,
    batch_size: int = 24,
    blocks: int = 100,
    stream: Stream | None = None,
    judge: Judge | None = None,
) -> None:
    """Train the decoder of an autoencoder on its mean latents, and write the whole autoencoder's folder.

    Encoder and quantisation layers stay as they are to the bit, so a base of these latents takes the new decoder
    (``suti.small_models.decoder.adopt_decoder``). The provenance has the held-out figures before and after.

    Args:
        settings, pool, batch_size, blocks, stream, judge: see ``train_vae``.
        initial: folder of the autoencoder.
    """
    device = torch.device(settings.device)
    vae = AutoencoderKL.from_pretrained(initial, torch_dtype=torch.float32, use_safetensors=True).requires_grad_(False)
    vae.to(device, memory_format=torch.channels_last)
    before = (judge or evaluate_vae)(vae, settings.seed)
    vae.decoder.requires_grad_(True)

    @torch.no_grad()
    def encode(tensors: Tensors) -> Tensors:
        images = from_bytes(tensors["images"])
        return tensors | {"cells": torch.cat([vae.encode(part).latent_dist.mean for part in images.split(64)])}

    fresh = None if settings.seconds is not None else batch_size
    store = Store(Pool(pool, stream or base_stream(settings.seed)), blocks, read_images, device, encode, fresh)
    if settings.compile:
        vae.decoder.compile(dynamic=False)

    def draw(step: int) -> Tensors:
        return store.draw("decoder", settings.seed, step, batch_size)

    def loss(batch: Tensors) -> dict[str, Tensor]:
        cells = batch["cells"].contiguous(memory_format=torch.channels_last)
        pixels, edges = absolute_errors(vae.decode(cells).sample.float(), from_bytes(batch["images"]))
        return {"loss": pixels + EDGE_WEIGHT * edges, "pixels": pixels}

    spent = train(vae.decoder, loss, settings, checkpoint, log, draw)
    vae.to("cpu", memory_format=torch.contiguous_format).requires_grad_(False)
    with atomic_path(folder) as part:
        vae.save_pretrained(part)
        store_half(part)
        saved = AutoencoderKL.from_pretrained(part, torch_dtype=torch.float32).to(device)
        extra: dict[str, Any] = {"batch_size": batch_size, "pictures_rendered": store.pictures}
        extra |= {"edge_weight": EDGE_WEIGHT, "trained": "decoder", "initial": str(initial), "held_out_initial": before}
        write_provenance(part, settings, spent, (judge or evaluate_vae)(saved, settings.seed), extra)


@torch.no_grad()
def normalise(vae: AutoencoderKL, images: Tensor) -> None:
    """Give the latents of ``images`` mean 0 and standard deviation 1 in every channel, in place.

    The map goes into the two 1 x 1 convolutions between encoder, latents and decoder, so pictures stay as they are
    and one scaling factor, 1, serves all channels.
    """
    z = torch.cat([vae.encode(part).latent_dist.mean for part in images.split(64)])
    mean, spread = z.mean((0, 2, 3)), z.std((0, 2, 3))
    into, out, n = vae.quant_conv, vae.post_quant_conv, len(mean)
    if into is None or out is None or into.bias is None or out.bias is None:
        raise ValueError("vae: no convolutions with a bias beside its latents, expected quant_conv and post_quant_conv")
    out.bias += out.weight[:, :, 0, 0] @ mean
    out.weight *= spread[None, :, None, None]
    into.weight[:n] /= spread[:, None, None, None]
    into.bias[:n] = (into.bias[:n] - mean) / spread
    into.bias[n:] -= 2 * spread.log()


@torch.no_grad()
def evaluate_vae(vae: AutoencoderKL, seed: int, count: int = 128) -> dict[str, Any]:
    """Held-out figures: peak signal-to-noise ratio of reconstructions (dB), two-pixel residue, spread of latents."""
    images = to_tensor(
        draw_views("held out", "vae", seed, subjects=count, views=1, size=IMAGE_SIZE).flat()[0], vae.device
    )
    z = torch.cat([vae.encode(part).latent_dist.mean for part in images.split(32)])
    made = torch.cat([vae.decode(part).sample for part in z.split(32)]).clamp(-1, 1)
    error = ((images - made) / 2).square().flatten(1).mean(1)
    return {
        "psnr": round(float(-10 * error.log10().mean()), 3),
        "two_pixel_residue": round(float(two_pixel_residue(made) / two_pixel_residue(images)), 4),
        "latent_mean": round(float(z.mean()), 4),
        "latent_std": round(float(z.std()), 4),
    }


def two_pixel_residue(images: Tensor) -> Tensor:
    """Root mean square of what alternates from pixel to pixel, over pictures ``(N, 3, H, W)``.

    The filter (-1, 2, -1) / 4 along rows, columns and both passes a pattern of period 2 whole, smooth shading not at
    all. Sharp outlines pass in part, so the figure is read against that of true renders.
    """
    row = torch.tensor([-0.25, 0.5, -0.25])
    parts = []
    for kernel in (row[None], row[:, None], row[None] * row[:, None] * 2):
        weight = kernel.expand(3, 1, *kernel.shape).to(images)
        parts.append(F.conv2d(images, weight, groups=3).square().mean())
    return torch.stack(parts).sum().sqrt()
