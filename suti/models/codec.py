"""Between pictures and what a base's UNet works on: pixels, patches of pixels, or a VAE's latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from suti.io.images import centre_crop_square

Picture = Image.Image | np.ndarray
VAE_ROWS = 8  # pictures of 512 x 512 that a VAE takes at once; of smaller ones a GPU takes as many pixels


class Codec(Protocol):
    """Invertible (pixels) or near-invertible (VAE) map between pictures and a network's inputs."""

    @property
    def factor(self) -> int:
        """Pixels a cell of the network's input."""

    @property
    def bounded(self) -> bool:
        """Whether inputs lie in [-1, 1], as pixels do: only then can a predicted x_0 be clipped."""

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Pictures ``(B, 3, H, W)`` in [-1, 1] to UNet inputs ``(B, C, H / factor, W / factor)``."""

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """UNet inputs to pictures ``(B, 3, H, W)`` in [-1, 1]."""


@dataclass(frozen=True)
class PixelCodec:
    """Pixel space, as in Imagen: a UNet of ``3 p**2`` input channels works on p x p patches (p = 1: plain pixels)."""

    factor: int = 1
    bounded: ClassVar[bool] = True

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Pictures ``(B, 3, H, W)`` to ``(B, 3 p**2, H / p, W / p)``; exact."""
        return F.pixel_unshuffle(images, self.factor)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Inverse of ``encode``, clamped to [-1, 1]."""
        return F.pixel_shuffle(latents, self.factor).clamp(-1, 1)


@dataclass(frozen=True)
class LatentCodec:
    """Latent space, as in Stable Diffusion: a diffusers ``AutoencoderKL`` and its scaling factor.

    The VAE takes a few pictures at a time: the maps of one of 512 x 512 pixels fill hundreds of megabytes, and
    experts at once draw hundreds of pictures.
    """

    vae: Any
    bounded: ClassVar[bool] = False

    @property
    def factor(self) -> int:
        """Pixels a latent cell: 2 for each down-sampling of the VAE."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Mean of the VAE's posterior, scaled. The mean, not a draw: an expert's data are then fixed."""
        with torch.no_grad():
            rows = _rows(images.device, images.shape[-2] * images.shape[-1])
            parts = [self.vae.encode(p).latent_dist.mean for p in images.to(self.vae.dtype).split(rows)]
            return torch.cat(parts) * self.vae.config.scaling_factor

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures in [-1, 1]."""
        with torch.no_grad():
            scaled = latents.to(self.vae.dtype) / self.vae.config.scaling_factor
            rows = _rows(latents.device, latents.shape[-2] * latents.shape[-1] * self.factor**2)
            return torch.cat([self.vae.decode(p).sample for p in scaled.split(rows)]).float().clamp(-1, 1)


def _rows(device: torch.device, pixels: int) -> int:
    # A CPU's cache holds the maps of a few small pictures; a GPU is idle with few.
    return VAE_ROWS if device.type == "cpu" else max(1, VAE_ROWS * 512**2 // pixels)


def pixel_patch(in_channels: int) -> int:
    """Patch side p of a pixel-space UNet with ``3 p**2`` input channels.

    Raises:
        ValueError: the number of channels is not 3 times a square, so the UNet is not one of pixel space.
    """
    patch = round((in_channels / 3) ** 0.5)
    if 3 * patch**2 != in_channels:
        raise ValueError(f"in_channels: {in_channels}, expected 3 p**2 (3, 12, 48, ...) for a pixel base without a VAE")
    return patch


def to_tensor(picture: Picture, size: int) -> torch.Tensor:
    """Centre square of a picture at the model's size: ``(3, size, size)`` in [-1, 1], area-filtered when shrinking."""
    array = np.asarray(picture.convert("RGB")) if isinstance(picture, Image.Image) else np.asarray(picture)
    square = Image.fromarray(centre_crop_square(array))
    if square.size != (size, size):
        smaller = square.size[0] > size
        square = square.resize((size, size), Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1).float() / 127.5 - 1
