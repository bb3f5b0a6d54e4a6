"""What the trainers of the image models share: renders by a key, augmentation, the contrastive loss, retrieval."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from suti.seeds import Key, generator, stable_hash
from suti.world.render import render
from suti.world.scenes import Scene, sample_scene
from suti.world.subjects import Subject, sample_subject


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
    *key: Key, subjects: int, views: int, size: int = 64, class_name: str | None = None, **scene: Any
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


def pick_subjects(rng: np.random.Generator, classes: np.ndarray, count: int, hard: float) -> np.ndarray:
    """``count`` rows, each once; with probability ``hard`` all are of a few classes (hard negatives)."""
    if rng.uniform() < hard:
        order = rng.permutation(np.unique(classes))
        for few in range(1, len(order) + 1):
            rows = np.flatnonzero(np.isin(classes, order[:few]))
            if len(rows) >= count:
                return rng.choice(rows, count, replace=False)
    return rng.choice(len(classes), min(count, len(classes)), replace=False)


def page_like(images: np.ndarray, rng: np.random.Generator, size: int = 64) -> np.ndarray:
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


@contextmanager
def seeded(*key: Key) -> Iterator[None]:
    """Torch's own generators, seeded by a key while the block runs and as they were after it."""
    with torch.random.fork_rng():
        torch.manual_seed(stable_hash(*key, bits=56))
        yield


def augment(x: Tensor, shift: int = 2, jitter: float = 0.1, noise: float = 0.02) -> Tensor:
    """Light augmentation that keeps identity: shifts by ``shift`` pixels, brightness, contrast, faint noise.

    x: ``(N, 3, H, W)`` in [-1, 1]. No mirroring and no change of hue: both belong to who a subject is. Random numbers
    come from torch's own generator on the device of x.
    """
    n, channels, height, width = x.shape
    if shift:
        padded = torch.nn.functional.pad(x, (shift,) * 4, mode="replicate")
        offsets = torch.randint(0, 2 * shift + 1, (2, n, 1), device=x.device)
        rows = (torch.arange(height, device=x.device) + offsets[0])[:, None, :, None]
        columns = (torch.arange(width, device=x.device) + offsets[1])[:, None, None, :]
        picture = torch.arange(n, device=x.device)[:, None, None, None]
        x = padded[picture, torch.arange(channels, device=x.device)[None, :, None, None], rows, columns]
    gain, offset, level = torch.rand(3, n, 1, 1, 1, device=x.device)
    gain, offset = 1 + jitter * (2 * gain - 1), jitter * (2 * offset - 1)
    return (x * gain + offset + noise * level * torch.randn_like(x)).clamp(-1, 1)


def supervised_contrastive(z: Tensor, labels: Tensor, temperature: float, looks: Tensor | None = None) -> Tensor:
    """SupCon (Khosla et al., 2020, Eq. 2): positives are all other rows of the same label.

    z: ``(N, D)`` of length 1; labels: ``(N,)``. looks: ``(N,)``; rows of one label but another look are neither
    positives nor negatives. A row without positives does not count.
    """
    with torch.autocast(z.device.type, enabled=False):  # cosines of bfloat16 differ by steps of .004
        logits = z.float() @ z.float().T / temperature
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    same = labels[:, None] == labels[None]
    alike = same if looks is None else same & (looks[:, None] == looks[None])
    logits = logits.masked_fill(itself | (same & ~alike), -1e4)
    positive = alike & ~itself
    log_probability = logits.log_softmax(dim=1)
    count = positive.sum(1)
    mean = -(log_probability * positive).sum(1) / count.clamp(min=1)
    return mean.sum() / (count > 0).sum().clamp(min=1)


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
