"""Ways in which a generated picture fails to look real, applied to true renders at a known severity.

They are what small latent diffusion models do: blur, the smear of an autoencoder, grids of two or four pixels, noise of
pixels and of latent cells, colours that bleed or run, two pictures in one, shapes that melt, parts in the wrong place,
wrong contrast. The realism head learns ``1 - severity``.

Random numbers come from torch's own generators on the pictures' device, so that a training step can be captured as a
CUDA graph; seed them for a repeatable result.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Corruption = Callable[[Tensor, Tensor], Tensor]
CELL = 4  # pixels a side of a latent cell


def _uniform(x: Tensor, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(shape, device=x.device, dtype=x.dtype)


def _normal(x: Tensor, *shape: int) -> Tensor:
    return torch.randn(shape, device=x.device, dtype=x.dtype)


def _resize(a: Tensor, x: Tensor, mode: str = "bicubic") -> Tensor:
    return F.interpolate(a, size=x.shape[-2:], mode=mode)


def _binomial(x: Tensor) -> Tensor:
    """A 5 x 5 binomial blur, of standard deviation 1 pixel."""
    for axis in (-1, -2):
        pad = (2, 2, 0, 0) if axis == -1 else (0, 0, 2, 2)
        p = F.pad(x, pad, mode="replicate")
        n = x.shape[axis]
        parts = [p.narrow(axis, i, n) for i in range(5)]
        x = (parts[0] + parts[4] + 4 * (parts[1] + parts[3]) + 6 * parts[2]) / 16
    return x


def blur(x: Tensor, s: Tensor) -> Tensor:
    """Blend with a blur of 1 pixel, and beyond half severity with one of 2 pixels."""
    once = _binomial(x)
    wide = _binomial(_binomial(_binomial(once)))
    return torch.where(s < 0.5, x + (once - x) * 2 * s, once + (wide - once) * (2 * s - 1))


def smear(x: Tensor, s: Tensor) -> Tensor:
    """What an autoencoder loses: details below its cells, in some regions more than in others."""
    coarse = _resize(F.avg_pool2d(x, CELL), x)
    soft = _resize(F.avg_pool2d(x, 2), x)
    region = torch.sigmoid(3 * _resize(_normal(x, len(x), 1, 4, 4), x) + 6 * s - 1.5)
    lost = torch.where(s < 0.5, soft + (coarse - soft) * s, coarse)
    return x + (lost - x) * region * (0.3 + 0.7 * s) * (2 * s).clamp(max=1)


def noise(x: Tensor, s: Tensor) -> Tensor:
    """White noise of standard deviation up to .4 (of [-1, 1]); for half of the pictures at 2-pixel grain."""
    fine = _normal(x, *x.shape)
    coarse = _resize(F.avg_pool2d(fine, 2) * 2, x, "bilinear")
    return x + torch.where(_uniform(x, len(x), 1, 1, 1) < 0.5, fine, coarse) * 0.4 * s


def mottle(x: Tensor, s: Tensor) -> Tensor:
    """Noise of latent cells: spots of four pixels, in lightness or in colour."""
    spots = _resize(_normal(x, len(x), 3, x.shape[-2] // CELL, x.shape[-1] // CELL), x)
    grey = spots.mean(1, keepdim=True) * 1.7
    return x + torch.where(_uniform(x, len(x), 1, 1, 1) < 0.5, spots, grey.expand_as(spots)) * 0.45 * s


def grid(x: Tensor, s: Tensor) -> Tensor:
    """A regular pattern of period 2 or 4, as patches and strided layers leave it, in some regions."""
    _, _, height, width = x.shape
    v = torch.arange(height, device=x.device)[:, None].expand(height, width)
    u = torch.arange(width, device=x.device)[None, :].expand(height, width)
    kinds = torch.stack([(v + u) % 2, v % 2, u % 2, (v // 2 + u // 2) % 2, (v % 4 == 0) | (u % 4 == 0)]).to(x) * 2 - 1
    # Not F.one_hot: it reads its input on the CPU, which a CUDA graph cannot.
    weights = ((_uniform(x, len(x), 1) * 5).long().clamp(max=4) == torch.arange(5, device=x.device)).to(x)
    pattern = torch.einsum("nk,khw->nhw", weights, kinds)[:, None]
    region = torch.sigmoid(3 * _resize(_normal(x, len(x), 1, 4, 4), x) + 4 * s)
    return x + pattern * _uniform(x, len(x), 3, 1, 1, low=0.4) * region * 0.32 * s


def ghost(x: Tensor, s: Tensor) -> Tensor:
    """Two pictures in one: blended everywhere by up to a half, or wholly in one part of the picture."""
    n, _, height, width = x.shape
    other = x.roll(1, 0)
    angle = _uniform(x, n, 1, 1, 1, high=6.2832)
    v = torch.linspace(-1, 1, height, device=x.device, dtype=x.dtype)[None, None, :, None]
    u = torch.linspace(-1, 1, width, device=x.device, dtype=x.dtype)[None, None, None, :]
    side = torch.sigmoid(12 * (u * angle.cos() + v * angle.sin() - _uniform(x, n, 1, 1, 1, low=-0.4, high=0.4)))
    alpha = torch.where(_uniform(x, n, 1, 1, 1) < 0.4, side, torch.full_like(side, 0.5))
    return x + (other - x) * alpha * s


def _sample(x: Tensor, shift: Tensor) -> Tensor:
    """x at positions moved by ``shift`` ``(N, H, W, 2)``, in half widths of the picture."""
    eye = torch.eye(2, 3, device=x.device, dtype=x.dtype).expand(len(x), 2, 3)
    at = F.affine_grid(eye, list(x.shape), align_corners=False)
    return F.grid_sample(x, at + shift, padding_mode="border", align_corners=False)


def warp(x: Tensor, s: Tensor) -> Tensor:
    """Shapes that melt: a smooth random displacement of up to about a tenth of the picture."""
    cells = 5 if x.shape[-1] < 48 else 7
    field = _resize(_normal(x, len(x), 2, cells, cells), x).permute(0, 2, 3, 1)
    return _sample(x, 0.13 * s * field)


def misplace(x: Tensor, s: Tensor) -> Tensor:
    """Parts in the wrong place: up to four squares that show another part of the picture, larger with severity."""
    n, _, height, width = x.shape
    v = torch.linspace(-1, 1, height, device=x.device, dtype=x.dtype)[None, None, :, None]
    u = torch.linspace(-1, 1, width, device=x.device, dtype=x.dtype)[None, None, None, :]
    for square in range(4):
        centre = _uniform(x, n, 2, 1, 1, low=-0.75, high=0.75)
        shift = _uniform(x, n, 1, 1, 2, low=-0.6, high=0.6).expand(n, height, width, 2)
        half = (0.09 + 0.20 * s) * (s * 4 > square)
        inside = torch.maximum((u - centre[:, :1]).abs(), (v - centre[:, 1:]).abs()) < half
        x = torch.where(inside, _sample(x, shift), x)
    return x


def bleed(x: Tensor, s: Tensor) -> Tensor:
    """Colours that run over their edges: chroma blurred and moved, lightness kept."""
    light = x.mean(1, keepdim=True)
    chroma = _resize(F.avg_pool2d(x - light, CELL), x, "bilinear")
    shift = _uniform(x, len(x), 1, 1, 2, low=-0.16, high=0.16) * s
    return x + (2 * s).clamp(max=1) * (light + _sample(chroma, shift.expand(*chroma[:, 0].shape, 2)) - x)


def blotch(x: Tensor, s: Tensor) -> Tensor:
    """Murky colours: a smooth random tint, and chroma averaged over large blocks."""
    tint = _resize(_normal(x, len(x), 3, 4, 4), x)
    light = x.mean(1, keepdim=True)
    soft = _resize(F.avg_pool2d(x - light, 2 * CELL), x, "bilinear")
    return x + s * (0.25 * tint + 0.8 * (light + soft - x))


def contrast(x: Tensor, s: Tensor) -> Tensor:
    """Over-guided (saturated and clipped) or washed-out pictures."""
    gain = torch.where(_uniform(x, len(x), 1, 1, 1) < 0.5, 1 + 1.6 * s, 1 - 0.65 * s)
    return x * gain + _uniform(x, len(x), 1, 1, 1, low=-0.25, high=0.25) * s


CORRUPTIONS: tuple[Corruption, ...] = (
    blur, smear, noise, mottle, grid, ghost, warp, misplace, bleed, blotch, contrast,
)  # fmt: skip


def corrupt(x: Tensor, lowest: float = 0.05) -> tuple[Tensor, Tensor]:
    """Corrupt every picture in one way, a third of them in two.

    Picture i is corrupted in way i modulo their number, so shuffle the pictures.

    Args:
        x: ``(N, 3, H, W)`` in [-1, 1].
        lowest: least severity drawn; severities are uniform in [lowest, 1].

    Returns:
        The pictures, clipped to [-1, 1], and the severities ``(N,)`` (of the worse of two corruptions).
    """
    severity = _uniform(x, len(x), low=lowest)
    result = x.clone()
    _in_turn(result, severity[:, None, None, None])
    second = result[::3].clone()
    _in_turn(second, 0.6 * severity[::3, None, None, None], first=4)
    result[::3] = second
    return result, severity


def _in_turn(x: Tensor, s: Tensor, first: int = 0) -> None:
    """Corrupt picture i of ``x`` in place in way ``first + i``."""
    ways = len(CORRUPTIONS)
    for index in range(min(ways, len(x))):
        corruption = CORRUPTIONS[(first + index) % ways]
        x[index::ways] = corruption(x[index::ways], s[index::ways]).clamp(-1, 1)
