"""The histogram of the samples' score with the grid of lambdas and |G| at each (section 4.1, Eq. 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from suti.figures.style import BLUE, GREY, INK, VERMILION, figure, score_name, short_score_name


def score_table(scores: np.ndarray, name: str, bins: int = 40) -> pd.DataFrame:
    """Histogram of a score: low, high and samples of each bin; ``scores`` is (N,).

    Raises:
        ValueError: no samples.
    """
    if len(scores) == 0:
        raise ValueError("histogram of scores: no samples; look at experts/log-*.parquet for why no expert drew one")
    counts, edges = np.histogram(scores, bins=bins)
    low, high = bounds(name)
    return pd.DataFrame({low: edges[:-1], high: edges[1:], "samples": counts})


def bounds(name: str) -> tuple[str, str]:
    """Columns of the ends of a bin."""
    return f"{short_score_name(name)}_low", f"{short_score_name(name)}_high"


def score_histogram(table: pd.DataFrame, filtered: Sequence[Mapping], default: str, name: str) -> Figure:
    """Bars of ``score_table``, a line at each lambda with |G|, the default lambda's in colour.

    Args:
        filtered: reports of filter_samples, {lambda, threshold, samples, kept}; threshold None for 'none'.
        default: the lambda of the main results.
        name: of the score.
    """
    low, high = bounds(name)
    with figure(8.0, 4.6) as (fig, axes):
        axes.bar(
            table[low],
            table["samples"],
            table[high] - table[low],
            align="edge",
            color=BLUE,
            alpha=0.35,
            edgecolor="white",
        )
        top = float(table["samples"].max())
        lines = sorted((r for r in filtered if r["threshold"] is not None), key=lambda r: r["threshold"])
        # Labels climb so that near thresholds do not write over each other.
        levels = max(len(lines), 1)
        axes.set_ylim(0, top * (1.08 + 0.11 * levels))
        first, last = float(table[low].iloc[0]), float(table[high].iloc[-1])
        # Every label stands to the right of its line, above all lines that are further right.
        rightmost = max([report["threshold"] for report in lines], default=first)
        axes.set_xlim(first - 0.02 * (last - first), max(last, rightmost + 0.42 * (last - first)))
        for number, report in enumerate(lines):
            main = report["lambda"] == default
            height = top * (1.08 + 0.11 * (levels - 1 - number))
            axes.plot(
                [report["threshold"]] * 2,
                [0, height],
                color=VERMILION if main else INK,
                lw=1.6 if main else 1.0,
            )
            axes.annotate(
                f"{report['lambda']}{_value(report)}: |G| = {report['kept']:,} "
                f"({100 * report['kept'] / report['samples']:.0f} %){', the default' if main else ''}",
                (report["threshold"], height), xytext=(4, 0), textcoords="offset points",
                ha="left", va="center", fontsize=9.5, color=VERMILION if main else INK,
            )  # fmt: skip
        axes.axvline(0, color=GREY, lw=0.8, ls=":", zorder=0)
        samples = int(table["samples"].sum())
        axes.set_title(f"{score_name(name)} of {samples:,} samples and the lambdas of the ablation")
        meaning = ": cosine of sample and prompt, less the best demonstration's (Eq. 6)" if name == "delta_clip" else ""
        axes.set_xlabel(f"{score_name(name)}{meaning}")
        axes.set_ylabel("samples")
        return fig


def _value(report: Mapping) -> str:
    """The threshold behind a lambda's name, where that does not say it already."""
    return f" = {report['threshold']:.3f}" if report["lambda"].startswith("q") else ""
