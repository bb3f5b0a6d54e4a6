"""Judging a text-to-image base by its own pictures: what the probe sees, an independent network's distance, residue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from suti.models.base import load_base
from suti.models.pipeline import SuTIPipeline
from suti.seeds import torch_generator
from suti.small_models.probe_network import Probe, share_confirmed, stated_attributes
from suti.small_models.vae import two_pixel_residue
from suti.small_models.views import draw_views, to_tensor
from suti.world.language import scene_phrase

BATCH = 32


def held_out(seed: int, count: int, size: int = 64) -> tuple[list[str], np.ndarray]:
    """Prompts of held-out scenes, and true renders of them, uint8 ``(count, size, size, 3)``."""
    views = draw_views("held out", "base", seed, subjects=count, views=1, size=size)
    truth, people, scenes = views.flat()
    return [scene_phrase(person, scene) for person, scene in zip(people, scenes, strict=True)], truth


def base_samples(folder: str | Path, prompts: Sequence[str], seed: int, **sampling: Any) -> np.ndarray:
    """A picture of each prompt by a base, uint8 ``(N, S, S, 3)``, from noise that follows from ``seed`` and its place.

    ``sampling`` goes to ``SuTIPipeline``, e.g. ``guidance_scale``.
    """
    base = load_base(str(Path(folder).resolve()))
    pipe = SuTIPipeline(base.unet, base.text_encoder, base.tokenizer, base.scheduler, base.vae)
    images = []
    for start in range(0, len(prompts), BATCH):
        some = list(prompts[start : start + BATCH])
        draws = [torch_generator("report", "base", seed, start + i) for i in range(len(some))]
        images.append(np.asarray(pipe(some, generator=draws, output_type="np", **sampling).images))
    return np.concatenate(images)


def shrink(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 pictures at ``size`` by averaging whole squares of pixels; those of that size as they are.

    Raises:
        ValueError: the side is not a multiple of ``size``.
    """
    factor, rest = divmod(images.shape[1], size)
    if rest:
        raise ValueError(f"pictures of {images.shape[1]} px cannot be averaged to {size} px")
    small = F.avg_pool2d(torch.from_numpy(images).permute(0, 3, 1, 2).float(), factor)
    return small.round().permute(0, 2, 3, 1).byte().numpy()


def probe_figures(images: np.ndarray, prompts: Sequence[str], probe: Probe) -> dict[str, Any]:
    """What the probe says of pictures: stated attributes that it sees, text score, realism."""
    seen = probe.look(images)
    found = probe.attributes(seen)
    hits: dict[str, list[bool]] = {}
    text = []
    for i, prompt in enumerate(prompts):
        stated = stated_attributes(prompt)
        text.append(share_confirmed(stated, {key: values[i] for key, values in found.items()}))
        for key, value in stated.items():
            hits.setdefault(key, []).append(bool(found[key][i] == value))
    realism = seen.realism.sigmoid().numpy()
    return {
        "stated_and_seen": {key: round(float(np.mean(hit)), 4) for key, hit in hits.items()},
        "text_score": round(float(np.mean(text)), 4),
        "text_yes": round(float((np.array(text) > probe.thresholds["text"]).mean()), 4),
        "realism_score": round(float(realism.mean()), 4),
        "realism_yes": round(float((realism > probe.thresholds["realism"]).mean()), 4),
    }


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """1000 times the squared maximum mean discrepancy of unit vectors ``(n, D)``, ``(m, D)``; 0 for equal sources.

    The kernel is (1 + cosine)**3, as in the kernel inception distance (arXiv 1801.01401, section 4) with features of
    one length. Unbiased, so it may fall below 0 by chance.
    """

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (1.0 + x.astype(np.float64) @ y.T) ** 3

    n, m = len(a), len(b)
    own = (kernel(a, a).sum() - np.trace(kernel(a, a))) / (n * (n - 1))
    other = (kernel(b, b).sum() - np.trace(kernel(b, b))) / (m * (m - 1))
    return float(1000 * (own + other - 2 * kernel(a, b).mean()))


def relative_residue(images: np.ndarray, truth: np.ndarray) -> float:
    """Two-pixel residue of pictures, that of true renders of the same size being 1."""
    return float(two_pixel_residue(to_tensor(images)) / two_pixel_residue(to_tensor(truth)))
