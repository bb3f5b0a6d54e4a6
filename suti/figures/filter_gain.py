"""What the filter gains, by the share of failed samples: cases whose share is known, made of one run's samples.

A sample passes if its subject and its text do, by the judge. There are three kinds of cases. *Natural* ones weigh the
run's own failed and passing samples until so many fail. *Within* are the same, cut inside each skill: scores of
prompts for a place and for an accessory differ whatever was drawn, so one threshold sorts prompts too. *Copies*
replace so many samples by pictures of their own page (suti/controls.py). The gain is the share that passes among what
the default lambda keeps, less the share that passes among all. It needs no training: it is what the filter can do for
G, not what an apprentice makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from suti.config.values import parse_lambda
from suti.controls import COPY, ranks
from suti.evaluation.bootstrap import LEVEL, resamples
from suti.figures.style import BLUE, GREY, SKY, VERMILION, figure, lambda_name

SHARES = (0.0, 0.1, 0.25, 0.5, 0.72)
"""Shares of failed or planted samples; the last is what the paper's filter drops."""
KINDS = {
    "natural": "the experts' own failures",
    "within": "the same, cut within each skill",
    "copies": "planted copies of the page",
}


def judged_samples(
    scores: pd.DataFrame, metrics: pd.DataFrame, thresholds: Mapping[str, float], skills: Mapping[str, str]
) -> pd.DataFrame:
    """Samples with score and judge: columns sample_id, subject_id, score, skill and passed (by subject and text).

    Args:
        scores: table 'scores'.
        metrics: table 'image_metrics' of the same samples; those that it lacks are left out.
        thresholds: least subject and text score that passes.
        skills: by prompt_id.
    """
    passed = (metrics["subject"] >= thresholds["subject"]) & (metrics["text"] >= thresholds["text"])
    judged = metrics[["sample_id"]].assign(passed=passed)
    known = scores[["sample_id", "subject_id", "score"]].assign(skill=scores["prompt_id"].map(skills))
    return known.merge(judged, on="sample_id").sort_values("sample_id", ignore_index=True)


def gain_table(samples: pd.DataFrame, copies: pd.DataFrame, lam: str, bootstrap: int, seed: int) -> pd.DataFrame:
    """One row a case: kind, planted, failed, kept, before, after, gain and its 95 % interval over subjects.

    Args:
        samples: what ``judged_samples`` gives of the experts' samples, (N rows).
        copies: the same of planted copies, named after the sample in whose place each stands. A case plants the first
            of them in an order drawn by the seed; where a share is more than there are, all.
        lam: the lambda that cuts each case: a quantile of the case's own scores, or a raw one.

    Raises:
        ValueError: no sample is judged.
    """
    if samples.empty:
        raise ValueError("filter_gain: no sample is judged; look at the log of judge_experts for why")
    rows = []
    subjects = sorted(set(samples["subject_id"]))
    places = {subject: i for i, subject in enumerate(subjects)}
    for kind, share, case, weights in _cases(samples, copies, lam, seed):
        place = case["subject_id"].map(places).to_numpy()
        # One group, or the skills: each is cut by a threshold of its own.
        groups = pd.factorize(case["skill"])[0] if kind == "within" else np.zeros(len(case), dtype=np.int64)
        passed, values = case["passed"].to_numpy(bool), case["score"].to_numpy()
        found = _measure(values, passed, weights, groups, lam)
        draws = []
        for chosen in resamples(len(subjects), bootstrap, seed):
            times = np.bincount(chosen, minlength=len(subjects))[place].astype(float)
            # Of natural cases the share of failed samples stays what it is in every resample.
            drawn = times if kind == "copies" else _weights(times, passed, share)
            draws.append(math.nan if drawn is None else _measure(values, passed, drawn, groups, lam)["gain"])
        low, high = np.nanpercentile(draws, LEVEL) if np.isfinite(draws).any() else (math.nan, math.nan)
        rows.append({"kind": kind, "planted": share if kind == "copies" else 0.0} | found | {"low": low, "high": high}
                    | {"n_samples": len(case), "n_subjects": len(subjects)})  # fmt: skip
    return pd.DataFrame(rows).round(9).replace(-0.0, 0.0)  # less what weights leave of rounding


def _cases(
    samples: pd.DataFrame, copies: pd.DataFrame, lam: str, seed: int
) -> Iterator[tuple[str, float, pd.DataFrame, np.ndarray]]:
    """Kind, share, rows and weights of each case."""
    passed = samples["passed"].to_numpy(bool)
    # A raw lambda is one threshold for all, in a skill and out of it.
    for kind in ("natural", "within") if parse_lambda(lam)[0] == "quantile" else ("natural",):
        for share in SHARES:
            weights = _weights(np.ones(len(samples)), passed, share)
            if weights is not None:
                yield kind, share, samples, weights
    planted = copies.assign(sample_id=copies["sample_id"].str.removesuffix(COPY))
    planted = planted[planted["sample_id"].isin(set(samples["sample_id"]))]
    planted = planted.iloc[np.argsort(ranks(planted["sample_id"], seed, "copies"))]
    for count in sorted({min(round(share * len(samples)), len(planted)) for share in SHARES}):
        first = planted.iloc[:count]
        rest = samples[~samples["sample_id"].isin(set(first["sample_id"]))]
        case = pd.concat([rest, first], ignore_index=True)
        yield "copies", count / len(samples), case, np.ones(len(case))


def _weights(times: np.ndarray, passed: np.ndarray, failed: float) -> np.ndarray | None:
    """Weights (N,) by which a share of ``failed`` fails, of samples that count ``times``; None where it cannot be."""
    bad, good = times[~passed].sum(), times[passed].sum()
    if (failed > 0 and bad == 0) or (failed < 1 and good == 0):
        return None
    return times * np.where(passed, (1 - failed) / max(good, 1), failed / max(bad, 1))


def _measure(
    scores: np.ndarray, passed: np.ndarray, weights: np.ndarray, groups: np.ndarray, lam: str
) -> dict[str, float]:
    """failed, kept, before, after and gain of a case: shares in [0, 1] of its weight. ``groups``: int (N,) from 0."""
    above, total = np.zeros(len(scores), bool), weights.sum()
    for group in range(groups.max() + 1):
        own = groups == group
        if weights[own].any():
            above[own] = scores[own] > _threshold(scores[own], weights[own], lam)
    kept, before = weights[above].sum() / total, weights[passed].sum() / total
    after = weights[above & passed].sum() / weights[above].sum() if kept > 0 else math.nan
    return {"failed": 1 - before, "kept": kept, "before": before, "after": after, "gain": after - before}


def _threshold(scores: np.ndarray, weights: np.ndarray, lam: str) -> float:
    """What a lambda stands for among weighted scores: the least score up to which a quantile of the weight lies."""
    kind, number = parse_lambda(lam)
    if kind != "quantile":
        return -math.inf if kind == "none" else number
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(scores[order][min(int(np.searchsorted(reached, number)), len(scores) - 1)])


def gain_curve(table: pd.DataFrame, lam: str) -> Figure:
    """The gain against the share of failed samples, a line a kind, with intervals."""
    with figure(7.2, 4.4) as (fig, axes):
        axes.axhline(0, color=GREY, lw=0.9, ls=":")
        styles = {"natural": (BLUE, "o"), "within": (SKY, "^"), "copies": (VERMILION, "s")}
        for kind, rows in table.groupby("kind", sort=False):
            colour, marker = styles[str(kind)]
            gain, low, high = (rows[name].to_numpy() for name in ("gain", "low", "high"))
            axes.errorbar(
                rows["failed"], gain, np.abs(np.stack([gain - low, high - gain])), color=colour, marker=marker,
                ms=6, lw=2, elinewidth=1.1, capsize=3, label=KINDS[str(kind)],
            )  # fmt: skip
        axes.set_xlim(-0.03, 1.03)
        axes.grid(axis="y", lw=0.7)
        axes.set_axisbelow(True)
        axes.set_xlabel("share of samples that fail by subject or text, before the filter")
        axes.set_ylabel("gain in the share that passes")
        name = lambda_name(lam).replace("\n", " ")
        axes.set_title(f"What the filter gains (lambda: {name})")
        axes.legend(loc="upper left")
        return fig
