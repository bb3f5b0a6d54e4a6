"""Scores of methods from ratings, with intervals over subjects, and the agreement of raters.

Estimates are means over ratings: every rating counts once, missing ones not at all. Intervals are 95 % percentile
intervals of a bootstrap over subjects, or over items where no subject is known, because ratings of one subject are not
independent. All methods see the same resamples, so differences are paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from suti.evaluation.bootstrap import LEVEL, resamples
from suti.ratings.agreement import alpha, counts
from suti.ratings.answers import Ratings
from suti.ratings.bradley_terry import Strengths, Undetermined, fit
from suti.ratings.schemes import BINARY, SC_PQ, Scheme

Value = dict[str, float | int | None]
OVERALL = "overall"


def aggregate(
    ratings: Ratings,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
    max_failed: float = 0.25,
    keep_flagged: bool = False,
    votes: str = "mean",
    ridge: float = 0.0,
) -> dict[str, Any]:
    """Everything that ``suti ratings aggregate`` writes, ready for JSON.

    Args:
        bootstrap: resamples.
        max_failed: raters who fail more than this share of their attention checks are left out.
        keep_flagged: count them nevertheless.
        votes: binary only. 'mean': every rating counts; 'majority': first each picture gets, for each question, the
            answer of most of its raters (No if they are even).
        ridge: comparisons only, see ``bradley_terry.fit``.

    Raises:
        ValueError: no ratings are left, or comparisons leave strengths open.
    """
    raters = judge_raters(ratings.frame, max_failed)
    excluded = [] if keep_flagged else [name for name, value in raters.items() if value["flagged"]]
    frame = ratings.frame[(ratings.frame["check"] == "") & ~ratings.frame["rater"].isin(excluded)]
    if frame.empty:
        raise ValueError(
            f"{ratings.where}: all raters failed more than {max_failed:.0%} of their attention checks; "
            "look at them, or count them with --keep-flagged"
        )
    frame, unit = _with_clusters(frame)
    draws = resamples(frame["cluster"].nunique(), bootstrap, seed)
    result: dict[str, Any] = {
        "scheme": ratings.scheme.name,
        "bootstrap": {"resamples": bootstrap, "seed": seed, "over": unit, "percentiles": list(LEVEL)},
        "n_ratings": len(frame),
        "n_items": frame["item"].nunique(),
        "n_clusters": draws.shape[1],
        "raters": raters,
        "excluded_raters": excluded,
        "max_failed": max_failed,
    }
    if ratings.scheme.candidates == 2:
        return result | {"ridge": ridge} | _comparisons(frame, ratings.scheme, draws, ridge, ratings.where)
    if ratings.scheme is BINARY:
        result["votes"] = votes
    return result | _scores(frame, ratings.scheme, draws, votes)


def judge_raters(frame: pd.DataFrame, max_failed: float) -> dict[str, dict[str, Any]]:
    """For each rater, ratings, answered and failed attention checks, and whether too many failed."""
    result = {}
    for name, rows in frame.groupby("rater", sort=True):
        checks = int(rows["passed"].notna().sum())
        failed = int((rows["passed"] == 0).sum())
        result[str(name)] = {
            "n_ratings": int((rows["check"] == "").sum()),
            "n_checks": checks,
            "n_failed": failed,
            "flagged": checks > 0 and failed / checks > max_failed,
        }
    return result


def overall(frame: pd.DataFrame, scheme: Scheme) -> np.ndarray:
    """Overall score of each rating, nan where an answer is missing: the AND of the paper's three questions (section
    5.1), or O = sqrt(SC x PQ) (ImagenHub)."""
    values = frame[list(scheme.names)].to_numpy(dtype=np.float64)
    if scheme is SC_PQ:
        return np.sqrt(values.prod(axis=1))
    return np.where(np.isnan(values).any(axis=1), np.nan, values.min(axis=1))


def _with_clusters(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    unit = "subject_id" if (frame["subject_id"] != "").all() else "item"
    clusters = np.unique(frame[unit], return_inverse=True)[1]
    return frame.assign(cluster=clusters), "subjects" if unit == "subject_id" else "items"


def _majority(frame: pd.DataFrame, scheme: Scheme) -> pd.DataFrame:
    names = list(scheme.names)
    means = frame.groupby(["item", "method", "cluster"], as_index=False)[names].mean()
    means[names] = (means[names] > 0.5).astype(np.float64).where(means[names].notna())
    return means


def _scores(frame: pd.DataFrame, scheme: Scheme, draws: np.ndarray, votes: str) -> dict[str, Any]:
    metrics = [*scheme.names, OVERALL]
    frame = frame.assign(**{OVERALL: overall(frame, scheme)})
    counted = frame
    if scheme is BINARY and votes == "majority":
        counted = _majority(frame, scheme)
        counted = counted.assign(**{OVERALL: overall(counted, scheme)})
    methods: dict[str, dict[str, Any]] = {}
    sampled: dict[str, tuple[float, np.ndarray]] = {}
    for method in sorted(frame["method"].unique()):
        rows, mine = counted[counted["method"] == method], frame[frame["method"] == method]
        values: dict[str, Any] = {
            "n_ratings": len(mine),
            "n_items": mine["item"].nunique(),
            "n_raters": mine["rater"].nunique(),
            "n_clusters": mine["cluster"].nunique(),
        }
        for metric in metrics:
            estimate, resampled = _mean(rows, metric, draws)
            values[metric] = _value(estimate, resampled, "mean")
            values[f"alpha_{metric}"] = _alpha(mine, metric, draws)
            if metric == OVERALL:
                sampled[method] = estimate, resampled
        methods[method] = values
    names = list(methods)
    differences = [
        {
            "first": a,
            "second": b,
            OVERALL: _value(sampled[a][0] - sampled[b][0], sampled[a][1] - sampled[b][1], "mean"),
        }
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    ]
    agreement = {f"alpha_{metric}": _alpha(frame, metric, draws) for metric in metrics}
    return {"methods": methods, "differences": differences, "agreement": agreement}


def _mean(rows: pd.DataFrame, metric: str, draws: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean over ratings, and that of every resample (B,); nan where a resample has none."""
    there = rows.dropna(subset=[metric])
    clusters = draws.shape[1]
    sums = np.bincount(there["cluster"], weights=there[metric], minlength=clusters)
    numbers = np.bincount(there["cluster"], minlength=clusters)
    with np.errstate(invalid="ignore"):
        resampled = sums[draws].sum(axis=1) / numbers[draws].sum(axis=1)
    if (numbers > 0).sum() < 2:  # resampling one subject gives the same each time: no interval, not a narrow one
        resampled = np.full(len(draws), np.nan)
    return float(there[metric].mean()) if len(there) else float("nan"), resampled


def _value(estimate: float, resampled: np.ndarray, name: str = "value") -> Value:
    """Estimate, under its name, and interval; None for what is undefined. Of one subject alone there is no interval."""
    usable = resampled[~np.isnan(resampled)]
    low, high = np.percentile(usable, LEVEL) if len(usable) else (np.nan, np.nan)
    numbers = {name: estimate, "low": float(low), "high": float(high)}
    result: Value = {key: None if np.isnan(number) else number for key, number in numbers.items()}
    if len(usable) < len(resampled):
        result["resamples"] = len(usable)
    return result


def _alpha(frame: pd.DataFrame, metric: str, draws: np.ndarray) -> Value:
    """Krippendorff's alpha over the pictures (or pairs) of the rows, with its interval."""
    keys = [name for name in ("item", "method", "method_a", "method_b") if name in frame]
    units = frame.groupby(keys, sort=False).ngroup().to_numpy()
    table, domain = counts(frame["rater"].to_numpy(), units, frame[metric].to_numpy(dtype=np.float64))
    cluster_of = np.zeros(len(table), dtype=np.int64)
    cluster_of[units] = frame["cluster"]
    members = [np.flatnonzero(cluster_of == c) for c in range(draws.shape[1])]
    estimate = alpha(table, domain)
    if np.isnan(estimate):
        return {"value": None, "low": None, "high": None}
    resampled = np.full(len(draws), np.nan)
    if len(np.unique(cluster_of[table.sum(axis=1) >= 2])) >= 2:
        resampled = np.array([alpha(table[np.concatenate([members[c] for c in draw])], domain) for draw in draws])
    return _value(estimate, resampled)


def _comparisons(frame: pd.DataFrame, scheme: Scheme, draws: np.ndarray, ridge: float, where: str) -> dict[str, Any]:
    names = sorted(set(frame["method_a"]) | set(frame["method_b"]))
    methods: dict[str, dict[str, Any]] = {name: {} for name in names}
    questions: dict[str, Any] = {}
    for question in scheme.names:
        rows = frame.dropna(subset=[question])
        wins, ties = _tables(rows, question, names, draws.shape[1])
        try:
            found = fit(wins.sum(axis=0), ties.sum(axis=0), names, ridge)
        except Undetermined as error:
            raise ValueError(f"{where}: question {question}: {error}".replace("a ridge", "--ridge 0.1")) from error
        fits: list[Strengths | None] = [None] * len(draws)
        if draws.shape[1] >= 2:
            fits = [_refit(wins[draw].sum(axis=0), ties[draw].sum(axis=0), names, ridge) for draw in draws]
        open_fit = Strengths(np.full(len(names), np.nan), np.nan)
        sampled = np.array([(f or open_fit).log_strength for f in fits])
        total_wins, total_ties = wins.sum(axis=0), ties.sum(axis=0) + ties.sum(axis=0).T
        for i, name in enumerate(names):
            n = total_wins[i].sum() + total_wins[:, i].sum() + total_ties[i].sum()
            methods[name][question] = {
                **_value(float(found.log_strength[i]), sampled[:, i]),
                "n_comparisons": int(n),
                "n_wins": int(total_wins[i].sum()),
                "n_ties": int(total_ties[i].sum()),
            }
        questions[question] = {
            "n_comparisons": len(rows),
            "tie": _value(found.tie, np.array([(f or open_fit).tie for f in fits])),
            "alpha": _alpha(frame, question, draws),
            "left_share": _left_share(rows, question),
        }
    return {"methods": methods, "questions": questions}


def _tables(rows: pd.DataFrame, question: str, names: Sequence[str], clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Wins (C, M, M), row over column, and ties (C, M, M), of each cluster."""
    place = {name: i for i, name in enumerate(names)}
    a, b = (rows[name].map(place).to_numpy() for name in ("method_a", "method_b"))
    cluster, score = rows["cluster"].to_numpy(), rows[question].to_numpy()
    wins, ties = np.zeros((2, clusters, len(names), len(names)))
    for table, first, second, chosen in (
        (wins, a, b, score == 1),
        (wins, b, a, score == 0),
        (ties, a, b, score == 0.5),
    ):
        np.add.at(table, (cluster[chosen], first[chosen], second[chosen]), 1)
    return wins, ties


def _refit(wins: np.ndarray, ties: np.ndarray, names: Sequence[str], ridge: float) -> Strengths | None:
    """Strengths of a resample; None where it leaves them open."""
    try:
        return fit(wins, ties, names, ridge)
    except Undetermined:
        return None


def _left_share(rows: pd.DataFrame, question: str) -> float | None:
    """Share of preferences for the picture on the left, .5 if sides do not matter; None if sides are not known."""
    known = rows[rows["swapped"].notna() & (rows[question] != 0.5)]
    if known.empty:
        return None
    return float(((known[question] == 1) != (known["swapped"] == 1)).mean())
