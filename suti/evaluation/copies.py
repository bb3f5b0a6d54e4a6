"""Are the pictures copies of what the system was shown, and do they differ from each other?

The paper says that its subjects are drawn in new contexts and shows it in figures; here it is measured. Each
picture gets its largest similarity to any known picture of its subject (demonstrations and references), in
DINO embeddings and in pixels, and its mean distance to the other pictures of its prompt. It is called a copy
if a similarity exceeds what real pictures reach: the 99 % quantile, over the run 'real', of the same
largest similarity. So about 1 % of the real pictures are called copies by construction, while a system that
gives its demonstrations back is found out: an exact copy has similarity 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image

QUANTILE = 0.99  # of the real pictures' largest similarities: above it is a copy
COPIES = {"copies_dino": "nearest_dino", "copies_pixels": "nearest_pixels"}
COPY_RULE = (
    f"a picture is a copy if its largest similarity to a demonstration or reference of its subject exceeds the "
    f"{100 * QUANTILE:g} % quantile, over the real pictures, of their largest similarity to the others of their subject"
)
SIZE = 32  # pixels a side at which pictures are compared pixel by pixel
SHIFT = 3  # pixels by which one may be moved against the other, each way


def thumbnails(images: Sequence[np.ndarray]) -> np.ndarray:
    """float32 (N, 32, 32, 3) of uint8 (H, W, 3) pictures, averaged over boxes of pixels."""
    small = [
        np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BOX), np.float32) for image in images
    ]
    return np.stack(small) if small else np.zeros((0, SIZE, SIZE, 3), np.float32)


def pixel_similarity(images: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Largest correlation of the pixels of each pair over all shifts of up to ``SHIFT`` pixels.

    The middle of the first picture is laid on every place of the second, so a copy that is moved, brighter or
    paler is still one. A picture of one colour has a correlation of 0 with every other.

    Args:
        images: thumbnails (N, S, S, 3).
        known: thumbnails (R, S, S, 3).

    Returns:
        float32 (N, R) in [-1, 1].
    """
    side = images.shape[1] - 2 * SHIFT
    middle = _standardised(images[:, SHIFT : SHIFT + side, SHIFT : SHIFT + side])
    best = np.full((len(images), len(known)), -1.0, np.float32)
    for top in range(2 * SHIFT + 1):
        for left in range(2 * SHIFT + 1):
            moved = _standardised(known[:, top : top + side, left : left + side])
            best = np.maximum(best, middle @ moved.T)
    return np.clip(best, -1, 1)


def _standardised(images: np.ndarray) -> np.ndarray:
    rows = images.reshape(len(images), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 1e-3, length, np.inf)


def nearest(similarities: np.ndarray, same: np.ndarray | None = None) -> np.ndarray:
    """Largest similarity of each picture to a known one.

    Args:
        similarities: (N, R).
        same: bool (N, R), True where a real picture meets itself; such pairs do not count.

    Returns:
        float64 (N,); nan where no known picture is left.
    """
    values = similarities.astype(np.float64)
    if same is not None:
        values = np.where(same, -np.inf, values)
    best = values.max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(best), best, np.nan)


def diversity(embeddings: np.ndarray, prompt_ids: Sequence[str]) -> np.ndarray:
    """Mean distance (1 - cosine) of each picture to the other pictures of its prompt.

    The mean over the pictures of a prompt is the mean over its pairs.

    Args:
        embeddings: unit embeddings of one subject's pictures (N, D).
        prompt_ids: the prompt of each.

    Returns:
        float64 (N,) in [0, 2]; nan where a prompt has one picture.
    """
    rows, prompts = embeddings.astype(np.float64), np.asarray(prompt_ids)
    result = np.full(len(rows), np.nan)
    for prompt in dict.fromkeys(prompts.tolist()):
        chosen = np.flatnonzero(prompts == prompt)
        if len(chosen) > 1:
            cosines = rows[chosen] @ rows[chosen].T
            others = (cosines.sum(axis=1) - np.diag(cosines)) / (len(chosen) - 1)
            result[chosen] = 1 - others
    return result


def thresholds(real: pd.DataFrame) -> dict[str, float]:
    """The similarity above which a picture is a copy, by column of ``COPIES``, from the run 'real'.

    Args:
        real: table 'image_metrics' of the real pictures, without prompts that are only shown.

    Returns:
        {"copies_dino": .., "copies_pixels": ..}; a measure that no real picture has is left out.
    """
    found = {name: real[column].dropna().to_numpy(float) for name, column in COPIES.items()}
    return {name: float(np.quantile(values, QUANTILE)) for name, values in found.items() if len(values)}


def mark(image_metrics: pd.DataFrame, limits: dict[str, float]) -> pd.DataFrame:
    """'image_metrics' with columns ``copies_dino`` and ``copies_pixels``: 1 for a copy, else 0, nan where
    nothing was measured."""
    marked = {}
    for name, column in COPIES.items():
        values = image_metrics[column].astype(float)
        marked[name] = (values > limits.get(name, np.nan)).astype(float).where(values.notna() & (name in limits))
    return image_metrics.assign(**marked)
