"""Bootstrap intervals over subjects.

Pictures of one subject are not independent, so subjects are resampled, not pictures: the estimate is the
mean of the subjects' means, the interval its 95 % percentile interval. The draws are keyed by the seed
alone, so every system that is judged on the same subjects sees the same resamples and differences between
systems are paired.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from suti.evaluation.metrics import METRICS
from suti.seeds import generator

Summary = dict[str, float | int | None]
PAIR = ["subject_id", "prompt_id", "image_index"]
LEVEL = (2.5, 97.5)


def template_rows(image_metrics: pd.DataFrame) -> pd.DataFrame:
    """The rows of a benchmark's own templates and photos, without those of prompts that are only shown:
    compositional (ids c1, c2, ...) and art styles (a1, a2, ...)."""
    return image_metrics[~image_metrics["prompt_id"].str.fullmatch(r"[ac]\d+")]


def by_run(frames: Iterable[pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables 'image_metrics', one a run, by run and without prompts that are only shown."""
    return {str(frame["run"].iloc[0]): template_rows(frame) for frame in frames}


def resamples(subjects: int, bootstrap: int, seed: int) -> np.ndarray:
    """int64 (bootstrap, subjects): the subjects of each resample, the same for all systems of a benchmark."""
    return generator(seed, "bootstrap").integers(0, subjects, size=(bootstrap, subjects))


def interval(
    subject_means: np.ndarray,
    bootstrap: int,
    seed: int,
    level: tuple[float, float] = LEVEL,
    weights: np.ndarray | None = None,
) -> tuple[float, float, float]:
    """Mean of (S,) subject means and the ends of its percentile interval over ``bootstrap`` resamples: of 95 %,
    or between the two percentiles of ``level``.

    With weights (S,), the subjects' numbers of pictures, all is the mean over pictures instead of over subjects.
    """
    draws = resamples(len(subject_means), bootstrap, seed)
    if weights is None:
        low, high = np.percentile(subject_means[draws].mean(axis=1), level)
        return float(subject_means.mean()), float(low), float(high)
    sums = subject_means * weights
    low, high = np.percentile(sums[draws].sum(axis=1) / weights[draws].sum(axis=1), level)
    return float(sums.sum() / weights.sum()), float(low), float(high)


def subject_means(image_metrics: pd.DataFrame, metric: str) -> pd.Series:
    """Mean of a metric for each subject, sorted by subject; pictures without the metric do not count."""
    rows = image_metrics.sort_values(PAIR).dropna(subset=[metric])
    return rows.groupby("subject_id", sort=True)[metric].mean()


def summarise(
    image_metrics: pd.DataFrame,
    bootstrap: int,
    seed: int,
    metrics: Sequence[str] = METRICS,
    aggregate: Literal["subjects", "images"] = "subjects",
) -> dict[str, Summary]:
    """Mean and interval of every metric of one run.

    Args:
        metrics: columns to summarise; all of ``METRICS`` if left out.
        aggregate: 'subjects' for the mean of the subjects' means, 'images' for the mean of all pictures.

    Returns:
        {metric: {mean, low, high, n_subjects, n_images}}; mean, low and high are None where no picture has
        it.
    """
    return {metric: _summary(image_metrics, metric, bootstrap, seed, aggregate) for metric in metrics}


def _summary(image_metrics: pd.DataFrame, metric: str, bootstrap: int, seed: int, aggregate: str) -> Summary:
    means = subject_means(image_metrics, metric)
    if len(means) == 0:
        return {"mean": None, "low": None, "high": None, "n_subjects": 0, "n_images": 0}
    counts = image_metrics.dropna(subset=[metric]).groupby("subject_id", sort=True).size()
    weights = counts.reindex(means.index).to_numpy() if aggregate == "images" else None
    mean, low, high = interval(means.to_numpy(), bootstrap, seed, weights=weights)
    return {"mean": mean, "low": low, "high": high, "n_subjects": len(means), "n_images": int(counts.sum())}


def common_pairs(runs: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The runs, each cut to the (subject, prompt, image number) triples that all of them have.

    Raises:
        ValueError: they have none in common.
    """
    if not runs:
        return {}
    shared = set.intersection(*({tuple(row) for row in run[PAIR].itertuples(index=False)} for run in runs.values()))
    if not shared:
        raise ValueError(f"runs {', '.join(runs)}: no (subject, prompt) in common; make their generations anew")
    return {
        name: run[[tuple(row) in shared for row in run[PAIR].itertuples(index=False)]] for name, run in runs.items()
    }


def difference(
    first: pd.DataFrame, second: pd.DataFrame, bootstrap: int, seed: int, metrics: Sequence[str] = METRICS
) -> dict[str, Summary]:
    """``summarise`` of first minus second, picture by picture on what both have: a paired comparison of two
    runs."""
    shared = common_pairs({"first": first, "second": second})
    left, right = (run.set_index(PAIR).sort_index() for run in shared.values())
    delta = (left[list(metrics)].astype(float) - right[list(metrics)].astype(float)).reset_index()
    return summarise(delta, bootstrap, seed, metrics)
