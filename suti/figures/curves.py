"""Curves with intervals: scores against lambda with |G| (the study of Eq. 6), and against demonstrations
(Fig. 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from suti.evaluation import published
from suti.evaluation.bootstrap import common_pairs, summarise
from suti.evaluation.metrics import METRICS, SCORES, SIMILARITIES, SUBJECT_TEXT
from suti.figures.style import COLOURS, GREY, LIGHT, MARKERS, METRIC_NAMES, figure, lambda_name
from suti.runs import parse_suti


def lambda_table(
    runs: Mapping[str, pd.DataFrame], filtered: Sequence[Mapping], bootstrap: int, seed: int
) -> pd.DataFrame:
    """One row a lambda in the order of ``filtered``: threshold, samples, kept, every metric with its
    interval.

    Args:
        runs: table 'image_metrics' by run 'suti-{lambda}-k{k}'; cut to the prompts that all of them have.
        filtered: reports of filter_samples, {lambda, threshold, samples, kept}; those of controls say so, and stand
            last (column ``control``).

    Raises:
        ValueError: a lambda has no run.
    """
    shared = {parse_suti(run)[0]: frame for run, frame in common_pairs(dict(runs)).items()}
    rows = []
    for report in sorted(filtered, key=_is_control):
        lam = report["lambda"]
        if lam not in shared:
            raise ValueError(f"lambda {lam!r}: no metrics of a run suti-{lam}-kN among {', '.join(runs)}")
        row = {"lambda": lam, "control": _is_control(report)} | {
            name: report[name] for name in ("threshold", "samples", "kept")
        }
        rows.append(row | _metrics(shared[lam], bootstrap, seed))
    return pd.DataFrame(rows).astype({"threshold": "float64"})


def _is_control(report: Mapping) -> bool:
    return bool(report.get("control", False))


def demonstration_table(runs: Mapping[str, pd.DataFrame], bootstrap: int, seed: int) -> pd.DataFrame:
    """One row a number of demonstrations, rising: every metric with its interval, and the paper's overall
    score."""
    shared = {parse_suti(run)[1]: frame for run, frame in common_pairs(dict(runs)).items()}
    rows = [
        {"demonstrations": k, "published_overall": published.DEMONSTRATIONS.get(k, np.nan)}
        | _metrics(shared[k], bootstrap, seed)
        for k in sorted(shared)
    ]
    return pd.DataFrame(rows)


def _metrics(frame: pd.DataFrame, bootstrap: int, seed: int) -> dict:
    values = summarise(frame, bootstrap, seed)
    row: dict = {"n_subjects": frame["subject_id"].nunique(), "n_images": len(frame)}
    for metric in METRICS:
        ends = {"": "mean", "_low": "low", "_high": "high"}
        row |= {
            metric + end: np.nan if values[metric][key] is None else values[metric][key] for end, key in ends.items()
        }
    return row


def shown_metrics(table: pd.DataFrame) -> list[str]:
    """What the curves show: the probe's scores where there are any, else the similarities that were
    measured."""
    human = [m for m in ("overall", SUBJECT_TEXT, *SCORES) if table[m].notna().any()]
    return human or [m for m in SIMILARITIES if table[m].notna().any()]


def lambda_curve(table: pd.DataFrame) -> Figure:
    """Scores against lambda as lines, |G| as bars on an axis below; controls stand apart, as open marks."""
    controls = table["control"].to_numpy(bool)
    x = np.arange(len(table)) + 0.5 * controls
    with figure(7.2, 5.0) as (fig, axes):
        axes.remove()
        top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1.15))
        _draw_metrics(top, x, table, ~controls)
        if controls.any():
            for axes in (top, bottom):
                axes.axvline(x[controls][0] - 0.75, color=GREY, lw=0.8, ls=":")
            bottom.text(x[controls][0] - 0.7, 162, "controls", va="top", color=GREY)
        top.set_title("Scores by lambda, the filter of the training set")
        top.tick_params(axis="x", length=0)
        share = 100 * table["kept"] / table["samples"]
        bars = bottom.bar(x, share, width=0.5, color=LIGHT, edgecolor=GREY, linewidth=0.8)
        labels = [f"{kept:,}\n{part:.0f} %" for kept, part in zip(table["kept"], share, strict=True)]
        bottom.bar_label(bars, labels, fontsize=9, padding=2)
        bottom.set_ylim(0, 165)
        bottom.set_yticks([0, 50, 100])
        bottom.set_ylabel("|G|, %\nof samples")
        names = [lambda_name(lam) for lam in table["lambda"]]
        quantiles = table["lambda"].str.startswith("q")
        values = [f"\n{t:.3f}" if shown else "" for t, shown in zip(table["threshold"], quantiles, strict=True)]
        bottom.set_xticks(x, [a + b for a, b in zip(names, values, strict=True)])
        bottom.set_xlim(-0.5, x[-1] + 0.5)
        bottom.set_xlabel("lambda: only samples with a larger score are kept")
        return fig


def demonstration_curve(table: pd.DataFrame) -> Figure:
    """Fig. 6: scores against the number of demonstrations, with the paper's overall score as a dashed
    line."""
    with figure(7.2, 4.4) as (fig, axes):
        x = table["demonstrations"].to_numpy()
        _draw_metrics(axes, x, table)
        theirs = table.dropna(subset=["published_overall"])
        if "overall" in shown_metrics(table) and len(theirs):
            x, y = theirs["demonstrations"], theirs["published_overall"]
            axes.plot(x, y, ls="--", color=GREY, lw=1.3, zorder=1, label="Overall, paper\n(human, Fig. 6)")
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("demonstrations at inference")
        axes.set_title("Scores by number of demonstrations")
        return fig


def _draw_metrics(axes: Axes, x: np.ndarray, table: pd.DataFrame, joined: np.ndarray | None = None) -> None:
    """A line a metric with its intervals; points that are not ``joined`` (N,) are open marks without a line."""
    joined = np.ones(len(table), bool) if joined is None else joined
    metrics = shown_metrics(table)
    # Small shifts keep intervals that would lie on top of each other apart.
    step = 0.035 * (x.max() - x.min() if len(x) > 1 else 1) / max(len(x) - 1, 1)
    for number, metric in enumerate(metrics):
        mean, low, high = (table[metric + end].to_numpy(dtype=float) for end in ("", "_low", "_high"))
        main = number == 0
        at, spans = x + step * (number - (len(metrics) - 1) / 2), np.abs(np.stack([mean - low, high - mean]))
        styles: tuple[tuple[np.ndarray, dict[str, Any]], ...] = (
            (joined, {"label": METRIC_NAMES[metric]}),
            (~joined, {"ls": "none", "mfc": "white"}),
        )
        for part, style in styles:
            if part.any():
                axes.errorbar(
                    at[part], mean[part], spans[:, part], color=COLOURS[metric], marker=MARKERS[metric],
                    ms=7 if main else 5.5, lw=2.4 if main else 1.4, elinewidth=1.1, capsize=3,
                    zorder=5 if main else 3, **style,
                )  # fmt: skip
    axes.grid(axis="y", lw=0.7)
    axes.set_axisbelow(True)
    low = min(float(np.nanmin(table[m + "_low"])) for m in metrics)
    high = max(float(np.nanmax(table[m + "_high"])) for m in metrics)
    if metrics[0] == "overall":
        low, high = min(low, 0.0), max(high, 1.0)
    axes.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    axes.set_ylabel("mean score, 95 % interval")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
