"""DINO, CLIP-I, CLIP-T and the probe's AND of scores (section 5.1), as functions of embeddings and scores.

DINO and CLIP-I follow the protocol of DreamBooth (Ruiz et al., 2023, section 4.1): the mean cosine of a
picture to all real pictures of its subject. CLIP-T is the raw cosine of picture and prompt.
"""

from __future__ import annotations

import numpy as np

SCORES = ("subject", "text", "realism")
SIMILARITIES = ("dino", "clip_i", "clip_t")
NEARNESS = ("nearest_dino", "nearest_pixels", "diversity")  # copy check and diversity: suti/evaluation/copies.py
MORE = ("dinov2",)  # measured where an encoder is named; in no table of the paper
SUBJECT_TEXT = "subject_text"  # both of the two, whatever the realism
METRICS = (*SIMILARITIES, *SCORES, "overall", SUBJECT_TEXT, *NEARNESS, *MORE)
KEYS = ["run", "sample_id", "subject_id", "prompt_id", "image_index"]
REFERENCE_RULE = (
    "mean cosine to all real pictures of the subject; a real picture is never compared with itself, so real pictures "
    "get their mean similarity to the other real pictures; a drawn one that equals a reference is compared with it"
)


def reference_similarity(images: np.ndarray, references: np.ndarray, same: np.ndarray | None = None) -> np.ndarray:
    """CLIP-I or DINO of each picture: its mean cosine to the subject's real pictures.

    Args:
        images: unit embeddings (N, D).
        references: unit embeddings of the subject's real pictures (R, D).
        same: bool (N, R), True where both are one picture; such pairs do not count.

    Returns:
        float64 (N,) in [-1, 1]; nan where no other real picture is left.
    """
    cosines = images.astype(np.float64) @ references.astype(np.float64).T
    counts = np.ones_like(cosines) if same is None else (~same).astype(np.float64)
    total = counts.sum(axis=1)
    return np.where(total > 0, (cosines * counts).sum(axis=1) / np.maximum(total, 1), np.nan)


def text_similarity(images: np.ndarray, prompts: np.ndarray) -> np.ndarray:
    """CLIP-T: raw cosine of each picture and its prompt, float64 (N,), of unit embeddings (N, D) and (N,
    D)."""
    return (images.astype(np.float64) * prompts.astype(np.float64)).sum(axis=1)


def overall(scores: dict[str, np.ndarray], thresholds: dict[str, float]) -> np.ndarray:
    """The paper's overall score: per picture, 1 if subject, text and realism all pass, else 0; nan if one
    is nan.

    Args:
        scores: 'subject', 'text' and 'realism', each (N,).
        thresholds: the least score that passes, for each of the three.

    Raises:
        KeyError: a threshold is missing.
    """
    return _all_pass(scores, thresholds, SCORES)


def subject_text(scores: dict[str, np.ndarray], thresholds: dict[str, float]) -> np.ndarray:
    """Per picture, 1 if subject and text both pass, else 0; nan if one is nan. As ``overall``, without the realism."""
    return _all_pass(scores, thresholds, ("subject", "text"))


def _all_pass(scores: dict[str, np.ndarray], thresholds: dict[str, float], names: tuple[str, ...]) -> np.ndarray:
    missing = [name for name in names if name not in thresholds]
    if missing:
        raise KeyError(f"probe thresholds lack {missing}; the probe's folder must hold one for each of {list(SCORES)}")
    values = np.stack([np.asarray(scores[name], dtype=np.float64) for name in names])
    limits = np.array([thresholds[name] for name in names])[:, None]
    passed = (values >= limits).all(axis=0).astype(np.float64)
    return np.where(np.isnan(values).any(axis=0), np.nan, passed)
