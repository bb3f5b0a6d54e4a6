"""delta-CLIP and the filtered set G (section 4.1, Eq. 6).

Scores are stored for every sample, so G at a lambda is an index into them: a new lambda costs no sampling
and no embedding.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from suti.config.values import parse_lambda


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


def resolve_lambda(text: str, deltas: np.ndarray) -> float:
    """Threshold that a lambda of the configuration stands for: -inf for none, a raw cosine, or a quantile
    of ``deltas``.

    Args:
        text: 'none', a number such as '0.02', or 'qX' with X in [0, 1).
        deltas: delta-CLIP of all samples of the run, (N,).
    """
    kind, number = parse_lambda(text)
    if kind == "none":
        return -math.inf
    if kind == "quantile" and len(deltas):
        return float(np.quantile(deltas, number))
    return number


def filtered_set(scores: pd.DataFrame, lambda_name: str) -> tuple[pd.DataFrame, float]:
    """G at a lambda, as rows of table 'filtered' sorted by sample, and the threshold.

    A sample is kept if its delta is larger than the threshold.

    Args:
        scores: table 'scores' of the whole run, (N rows).
        lambda_name: the lambda as written in ``filtering.grid``.

    Raises:
        ValueError: there are no samples, a delta is not a number, or G is empty.
    """
    if scores.empty:
        raise ValueError(
            f"lambda {lambda_name!r}: the scores hold no samples; look at experts/log-*.parquet for why "
            "no expert drew one"
        )
    deltas = scores["delta"].to_numpy()
    bad = scores.loc[~np.isfinite(deltas), "sample_id"].tolist()
    if bad:
        raise ValueError(
            f"scores: column 'delta' of sample {bad[0]!r} ({len(bad)} rows in all) is not a finite "
            "number; delete the "
            "scores of its shard and run again"
        )
    threshold = resolve_lambda(lambda_name, deltas)
    kept = scores.loc[deltas > threshold, ["sample_id", "subject_id", "prompt_id", "delta"]]
    if kept.empty:
        raise ValueError(
            f"lambda {lambda_name!r}: G is empty, no delta exceeds {threshold:.6g}; the largest of "
            f"{len(scores)} is "
            f"{deltas.max():.6g}. Take a lambda below that, or a quantile such as q0.4, in filtering.grid"
        )
    return kept.sort_values("sample_id", ignore_index=True), threshold
