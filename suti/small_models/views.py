"""Batches for the image models: several renders of each subject, from pools that are rendered now and then.

Rendering and training share one core, so a pool of renders serves several steps. Pools and batches are keyed
by (seed, name, number), so a resumed run sees what an undisturbed one would have seen.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from suti.seeds import Key, generator
from suti.world.render import render
from suti.world.scenes import Scene, sample_scene
from suti.world.subjects import Subject, sample_subject

Pool = TypeVar("Pool")


@dataclass(frozen=True)
class Views:
    """``views`` pictures of each of n subjects. images: uint8 ``(n, views, S, S, 3)``; scenes: n lists."""

    images: np.ndarray
    subjects: list[Subject]
    scenes: list[list[Scene]]

    @property
    def classes(self) -> np.ndarray:
        """Class names, ``(n,)``."""
        return np.array([subject.class_name for subject in self.subjects])

    def flat(self) -> tuple[np.ndarray, list[Subject], list[Scene]]:
        """Pictures ``(n * views, S, S, 3)`` with their subjects and scenes."""
        views = self.images.shape[1]
        subjects = [subject for subject in self.subjects for _ in range(views)]
        return (
            self.images.reshape(-1, *self.images.shape[2:]),
            subjects,
            [s for row in self.scenes for s in row],
        )


def draw_views(
    *key: Key, subjects: int, views: int, size: int = 32, class_name: str | None = None, **scene: Any
) -> Views:
    """Render ``views`` scenes of each of ``subjects`` new subjects, all keyed by ``key``.

    Training and held-out sets differ in the key, so they share no subject. ``scene`` goes to
    ``sample_scene``.
    """
    rng = generator("views", *key)
    space = "/".join(str(part) for part in key)
    people = [sample_subject(space, index, class_name) for index in range(subjects)]
    scenes = [[sample_scene(rng, **scene) for _ in range(views)] for _ in people]
    flat = [subject for subject in people for _ in range(views)]
    images, _ = render(flat, [s for row in scenes for s in row], size)
    return Views(images.reshape(subjects, views, size, size, 3), people, scenes)


class Pools(Generic[Pool]):
    """Renders pool ``step // steps_per_pool`` when a step asks for it; holds one."""

    def __init__(self, make: Callable[[int], Pool], steps_per_pool: int) -> None:
        self.make, self.steps_per_pool = make, steps_per_pool
        self._number = -1
        self._pool: Pool | None = None

    def at(self, step: int) -> Pool:
        """The pool of a step."""
        number = step // self.steps_per_pool
        if number != self._number or self._pool is None:
            self._number, self._pool = number, self.make(number)
        return self._pool


def pick_subjects(rng: np.random.Generator, classes: np.ndarray, count: int, hard: float) -> np.ndarray:
    """``count`` rows, each once; with probability ``hard`` all are of a few classes (hard negatives)."""
    if rng.uniform() < hard:
        order = rng.permutation(np.unique(classes))
        for few in range(1, len(order) + 1):
            rows = np.flatnonzero(np.isin(classes, order[:few]))
            if len(rows) >= count:
                return rng.choice(rows, count, replace=False)
    return rng.choice(len(classes), min(count, len(classes)), replace=False)


def page_like(images: np.ndarray, rng: np.random.Generator, size: int = 32) -> np.ndarray:
    """As a page's picture reaches an encoder: JPEG of random quality, then reduced to ``size`` (bicubic)."""
    result = np.empty((len(images), size, size, 3), np.uint8)
    for index, image in enumerate(images):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=int(rng.integers(72, 97)))
        picture = Image.open(buffer).convert("RGB")
        result[index] = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
    return result


def to_tensor(images: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """uint8 ``(N, H, W, 3)`` to float ``(N, 3, H, W)`` in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def augment(x: Tensor, rng: np.random.Generator, shift: int = 2, jitter: float = 0.1, noise: float = 0.02) -> Tensor:
    """Light augmentation that keeps identity: shifts by ``shift`` pixels, brightness, contrast, faint noise.

    x: ``(N, 3, H, W)`` in [-1, 1]. No mirroring and no change of hue: both belong to who a subject is.
    """
    n, _, height, width = x.shape
    if shift:
        padded = torch.nn.functional.pad(x, (shift,) * 4, mode="replicate")
        offsets = rng.integers(0, 2 * shift + 1, (n, 2))
        x = torch.stack([p[:, i : i + height, j : j + width] for p, (i, j) in zip(padded, offsets, strict=True)])
    gain = torch.from_numpy(rng.uniform(1 - jitter, 1 + jitter, (n, 1, 1, 1))).float()
    offset = torch.from_numpy(rng.uniform(-jitter, jitter, (n, 1, 1, 1))).float()
    level = torch.from_numpy(rng.uniform(0, noise, (n, 1, 1, 1))).float()
    grain = torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32))
    return (x * gain.to(x) + offset.to(x) + level.to(x) * grain.to(x)).clamp(-1, 1)


def supervised_contrastive(z: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """SupCon (Khosla et al., 2020, Eq. 2): positives are all other rows of the same label.

    z: ``(N, D)`` of length 1; labels: ``(N,)``; every label occurs at least twice.
    """
    logits = z.float() @ z.float().T / temperature
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    logits = logits.masked_fill(itself, -1e4)
    positive = (labels[:, None] == labels[None]) & ~itself
    log_probability = logits.log_softmax(dim=1)
    return -(log_probability * positive).sum(1).div(positive.sum(1)).mean()


def retrieval(z: np.ndarray, gallery: np.ndarray) -> float:
    """Share of ``z`` ``(n, views, D)`` whose nearest mean of ``gallery`` ``(n, views, D)`` is their own."""
    means = gallery.mean(1)
    means /= np.linalg.norm(means, axis=-1, keepdims=True)
    nearest = (z @ means.T).argmax(-1)
    return float((nearest == np.arange(len(z))[:, None]).mean())


def balanced_threshold(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """Threshold of largest balanced accuracy between two sets of scores, and that accuracy."""
    candidates = np.unique(np.concatenate([positive, negative]))
    middles = np.concatenate([[candidates[0] - 1e-6], (candidates[1:] + candidates[:-1]) / 2])
    rates = [((positive > t).mean() + (negative <= t).mean()) / 2 for t in middles]
    best = int(np.argmax(rates))
    return float(middles[best]), float(rates[best])
