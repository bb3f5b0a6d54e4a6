"""Ways in which a generated picture fails to look real, applied to true renders at a known severity.

They are what small diffusion models do: blur, noise, a checkerboard from up-sampling, two pictures in one,
parts that melt or move, wrong contrast, colour blotches. The realism head learns ``1 - severity``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Corruption = Callable[[Tensor, Tensor, np.random.Generator], Tensor]


def blur(x: Tensor, s: Tensor, rng: np.random.Generator) -> Tensor:
    """Blend with a 5 x 5 binomial blur (applied twice at full severity)."""
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = torch.outer(line, line).expand(3, 1, 5, 5).to(x)
    once = F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), kernel, groups=3)
    twice = F.conv2d(F.pad(once, (2, 2, 2, 2), mode="replicate"), kernel, groups=3)
    return torch.where(s < 0.5, x + (once - x) * 2 * s, once + (twice - once) * (2 * s - 1))


def noise(x: Tensor, s: Tensor, rng: np.random.Generator) -> Tensor:
    """White noise of standard deviation up to .4 (of [-1, 1]); for half of the pictures at 2-pixel grain."""
    fine = torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32)).to(x)
    coarse = F.interpolate(F.avg_pool2d(fine, 2) * 2, scale_factor=2, mode="bilinear")
    pick = torch.from_numpy(rng.uniform(size=(len(x), 1, 1, 1)) < 0.5).to(x.device)
    return x + torch.where(pick, fine, coarse) * 0.4 * s


def checkerboard(x: Tensor, s: Tensor, rng: np.random.Generator) -> Tensor:
    """A regular pattern of period 2 or 4, as strided layers and patches leave it."""
    _, _, height, width = x.shape
    y, z = np.mgrid[:height, :width]
    patterns = np.stack([(y + z) % 2, y % 2, z % 2, (y // 2 + z // 2) % 2, ((y % 2) + (z % 2)) / 2]) * 2.0 - 1
    chosen = torch.from_numpy(patterns[rng.integers(0, len(patterns), len(x))]).float().to(x)[:, None]
    tint = torch.from_numpy(rng.uniform(0.4, 1.0, (len(x), 3, 1, 1))).float().to(x)
    return x + chosen * tint * 0.3 * s


def ghost(x: Tensor, s: Tensor, rng: np.random.Generator) -> Tensor:
    """Two pictures in one: blended everywhere by up to a half, or in one half of the picture wholly."""
    other = x.roll(1 + int(rng.integers(max(1, len(x) - 1))), 0)
    alpha = 0.5 * s.expand_as(x[:, :1]).clone()
    width = x.shape[-1]
    ramp = torch.linspace(-1, 1, width).to(x)
    for row in np.flatnonzero(rng.uniform(size=len(x)) < 0.4):
        side = torch.sigmoid((ramp - float(rng.uniform(-0.4, 0.4))) * 12)
        side = side[None, :] if rng.uniform() < 0.5 else side[:, None]
        alpha[row, 0] = side.expand(width, width) * s[row, 0, 0, 0]
    return x + (other - x) * alpha


def warp(x: Tensor, s: Tensor, rng: np.random.Generator) -> Tensor:
    """Shapes that melt: a smooth random displacement of up to about 5 pixels."""
    n, _, height, width = x.shape
    coarse = torch.from_numpy(rng.standard_normal((n, 2, 5, 5), dtype=np.float32)).to(x)
    field = F.interpolate(coarse, size=(height, width), mode="bicubic").permute(0, 2, 3, 1)
    grid = F.affine_grid(torch.eye(2, 3).expand(n, 2, 3).to(x), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid + 0.16 * s * field, padding_mode="border", align_corners=False)


def misplace(x: Tensor, s: Tensor, rng: np.random.Generator) -> Tensor:
    """Parts in the wrong place: square patches copied from elsewhere, more and larger with severity."""
    x = x.clone()
    size = x.shape[-1]
    for row in range(len(x)):
        severity = float(s[row])
        side = int(3 + 7 * severity)
        for _ in range(1 + int(3 * severity)):
            a, b, c, d = rng.integers(0, size - side, 4)
            x[row, :, a : a + side, b : b + side] = x[row, :, c : c + side, d : d + side].clone()
    return x


def blotch(x: Tensor, s: Tensor, rng: np.random.Generator) -> Tensor:
    """Colours that run: a smooth random tint, and the picture's own colours averaged over blocks."""
    tint = torch.from_numpy(rng.standard_normal((len(x), 3, 4, 4), dtype=np.float32)).to(x)
    tint = F.interpolate(tint, size=x.shape[-2:], mode="bicubic")
    mean = x.mean(1, keepdim=True)
    soft = F.interpolate(F.avg_pool2d(x - mean, 4), size=x.shape[-2:], mode="bilinear")
    return x + s * (0.25 * tint + 0.8 * (mean + soft - x))


def contrast(x: Tensor, s: Tensor, rng: np.random.Generator) -> Tensor:
    """Over-guided (saturated and clipped) or washed-out pictures."""
    up = torch.from_numpy(rng.uniform(size=(len(x), 1, 1, 1)) < 0.5).to(x.device)
    gain = torch.where(up, 1 + 1.6 * s, 1 - 0.65 * s)
    offset = torch.from_numpy(rng.uniform(-0.25, 0.25, (len(x), 1, 1, 1))).float().to(x)
    return x * gain + offset * s


CORRUPTIONS: tuple[Corruption, ...] = (blur, noise, checkerboard, ghost, warp, misplace, blotch, contrast)


def corrupt(x: Tensor, rng: np.random.Generator, lowest: float = 0.05) -> tuple[Tensor, Tensor]:
    """Corrupt every picture in one way, a third of them in two.

    Args:
        x: ``(N, 3, H, W)`` in [-1, 1].
        lowest: least severity drawn; severities are uniform in [lowest, 1].

    Returns:
        The pictures, clipped to [-1, 1], and the severities ``(N,)`` (of the worse of two corruptions).
    """
    n = len(x)
    severity = torch.from_numpy(rng.uniform(lowest, 1.0, n)).float().to(x)
    first = rng.integers(0, len(CORRUPTIONS), n)
    second = np.where(rng.uniform(size=n) < 1 / 3, rng.integers(0, len(CORRUPTIONS), n), -1)
    for kinds, share in ((first, 1.0), (second, 0.6)):
        result = x.clone()
        for index, corruption in enumerate(CORRUPTIONS):
            rows = np.flatnonzero(kinds == index)
            if len(rows):
                result[rows] = corruption(x[rows], severity[rows][:, None, None, None] * share, rng).clamp(-1, 1)
        x = result
    return x, severity
