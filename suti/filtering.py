"""Scores of samples, delta-CLIP the first, and the filtered set G (section 4.1, Eq. 6).

Scores are stored for every sample, so G at a lambda is an index into them: a new lambda costs no sampling
and no embedding. Another score is one function in ``SCORES`` and its name in ``filtering.scores``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from suti.config.values import parse_lambda

if TYPE_CHECKING:
    from suti.experts.embedding import SubjectEmbeddings

Score = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
"""Of the unit embeddings of a sample (D,), its prompt (D,) and the demonstrations (n, D): the larger, the better."""


def delta_clip(sample: np.ndarray, prompt: np.ndarray, demonstrations: np.ndarray) -> float:
    """delta-CLIP of one sample (Eq. 6): CLIP(y_s, p_s) - max over x in C_s of CLIP(x, p_s).

    Raw cosines. Positive: the sample shows its unseen prompt better than any demonstration does, so it is
    no copy.

    Args:
        sample: unit embedding of y_s, (D,).
        prompt: unit embedding of p_s, (D,).
        demonstrations: unit embeddings of C_s, (n, D), n >= 1.

    Raises:
        ValueError: no demonstrations.
    """
    if len(demonstrations) == 0:
        raise ValueError("delta_clip: no demonstrations, expected at least one; the maximum in Eq. 6 is over C_s")
    return float(sample @ prompt - (demonstrations @ prompt).max())


def image_similarity(sample: np.ndarray, prompt: np.ndarray, demonstrations: np.ndarray) -> float:
    """Mean cosine of one sample to the demonstrations: whether it shows the subject, which delta-CLIP does not see.

    A copy has the highest. Arguments and errors are those of ``delta_clip``; the prompt does not count.
    """
    if len(demonstrations) == 0:
        raise ValueError("image_similarity: no demonstrations, expected at least one; the mean is over C_s")
    return float((demonstrations @ sample).mean())


SCORES: Mapping[str, Score] = MappingProxyType({"delta_clip": delta_clip, "image_similarity": image_similarity})
"""Scores by the name that ``filtering.scores`` and ``filtering.score`` take."""


def score_samples(name: str, samples: pd.DataFrame, embeddings: Mapping[str, SubjectEmbeddings]) -> pd.DataFrame:
    """Table 'scores' of some samples, in their order.

    Args:
        name: a key of ``SCORES``.
        samples: table 'samples', each subject's rows in the order of its embeddings.
        embeddings: by subject.

    Raises:
        ValueError: no such score, or a subject that has not as many embeddings as samples.
    """
    if name not in SCORES:
        raise ValueError(f"score {name!r}: expected one of {', '.join(SCORES)} (suti/filtering.py: SCORES)")
    score, values = SCORES[name], np.zeros(len(samples))
    for subject_id, rows in samples.groupby("subject_id", sort=False).indices.items():
        found = embeddings.get(str(subject_id))
        if found is None or len(found.samples) != len(rows):
            raise ValueError(
                f"subject {subject_id!r}: {len(rows)} samples, {len(found.samples) if found else 0} embeddings; "
                "delete the embeddings of its shard and run again"
            )
        values[rows] = [
            score(sample, prompt, found.demonstrations)
            for sample, prompt in zip(found.samples, found.prompts, strict=True)
        ]
    return samples[["sample_id", "subject_id", "prompt_id"]].assign(score=values)


def resolve_lambda(text: str, scores: np.ndarray) -> float:
    """Threshold that a lambda of the configuration stands for: -inf for none, a raw number, or a quantile
    of ``scores``.

    Args:
        text: 'none', a number such as '0.02', or 'qX' with X in [0, 1).
        scores: of all samples of the run, (N,).
    """
    kind, number = parse_lambda(text)
    if kind == "none":
        return -math.inf
    if kind == "quantile" and len(scores):
        return float(np.quantile(scores, number))
    return number


def filtered_set(scores: pd.DataFrame, lambda_name: str) -> tuple[pd.DataFrame, float]:
    """G at a lambda, as rows of table 'filtered' sorted by sample, and the threshold.

    A sample is kept if its score is larger than the threshold.

    Args:
        scores: table 'scores' of the whole run, (N rows).
        lambda_name: the lambda as written in ``filtering.grid``.

    Raises:
        ValueError: there are no samples, a score is not a number, or G is empty.
    """
    if scores.empty:
        raise ValueError(
            f"lambda {lambda_name!r}: the scores hold no samples; look at experts/log-*.parquet for why "
            "no expert drew one"
        )
    values = scores["score"].to_numpy()
    bad = scores.loc[~np.isfinite(values), "sample_id"].tolist()
    if bad:
        raise ValueError(
            f"scores: column 'score' of sample {bad[0]!r} ({len(bad)} rows in all) is not a finite number; look at "
            "its picture and at the encoder (filtering.encoder), then delete the scores and run again"
        )
    threshold = resolve_lambda(lambda_name, values)
    kept = above(scores, threshold)
    if kept.empty:
        raise ValueError(
            f"lambda {lambda_name!r}: G is empty, no score exceeds {threshold:.6g}; the largest of {len(scores)} is "
            f"{values.max():.6g}. Take a lambda below that, or a quantile such as q0.4, in filtering.grid"
        )
    return kept, threshold


def above(scores: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Rows of table 'scores' whose score is larger than a threshold, sorted by sample."""
    return scores[scores["score"].to_numpy() > threshold].sort_values("sample_id", ignore_index=True)


def kept_by_skill(scores: pd.DataFrame, threshold: float, skills: Mapping[str, str]) -> dict[str, Any]:
    """What a cut keeps, in all and by skill: {samples, kept, share, skills: {skill: {samples, kept, share}}}.

    Args:
        scores: table 'scores', of samples or of true pictures, (N rows). Of none the share is None.
        threshold: what a score must exceed.
        skills: by prompt_id.

    Raises:
        ValueError: a prompt has no skill.
    """
    asked = scores["prompt_id"].map(skills)
    lost = scores.loc[asked.isna(), "prompt_id"].tolist()
    if lost:
        raise ValueError(
            f"prompt {lost[0]!r} ({len(lost)} in all): in no table of prompts; delete prompts/ and run again"
        )
    kept = scores["score"] > threshold

    def counted(rows: pd.Series) -> dict[str, Any]:
        share = round(float(rows.mean()), 6) if len(rows) else None
        return {"samples": len(rows), "kept": int(rows.sum()), "share": share}

    return counted(kept) | {"skills": {str(skill): counted(rows) for skill, rows in kept.groupby(asked)}}
