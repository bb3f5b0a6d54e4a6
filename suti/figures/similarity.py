"""The histogram of the pages' mean pairwise similarity, with the band that mining keeps."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from suti.io.atomic import atomic_path

COLOURS = ("#33658a", "#f6ae2d", "#86bbd8", "#f26419", "#758e4f", "#9b5de5", "#2f4858", "#bc6c75")
BAND = "#2a9d4a"


def similarity_histogram(clusters: pd.DataFrame, kinds: pd.Series | None = None, bins: int = 60) -> pd.DataFrame:
    """Pages per bin of mean pairwise similarity.

    Args:
        clusters: table ``clusters``; pages with fewer than two usable pictures have no similarity and no
            place here.
        kinds: a label of every row of ``clusters`` (its true kind, its source), or None for one series
            'pages'.
        bins: bins between 0 (or the least similarity, if negative) and 1.

    Returns:
        columns ``low``, ``high`` and one column of counts a kind, sorted by name.
    """
    known = clusters["similarity"].notna()
    values = clusters.loc[known, "similarity"].to_numpy(float)
    labels = np.full(len(values), "pages") if kinds is None else kinds[known].to_numpy(str)
    least = min(0.0, float(np.floor(values.min() * 10) / 10)) if len(values) else 0.0
    edges = np.linspace(least, 1.0, bins + 1)
    table = pd.DataFrame({"low": edges[:-1].round(6), "high": edges[1:].round(6)})
    for kind in sorted(set(labels)):
        table[kind] = np.histogram(np.clip(values[labels == kind], least, 1.0), edges)[0]
    return table


def similarity_figure(histogram: pd.DataFrame, band: tuple[float, float], summary: str, none: int = 0) -> Figure:
    """Stacked histogram with the band shaded.

    Args:
        histogram: from ``similarity_histogram``.
        band: mining.similarity.
        summary: one line of outcomes for the title.
        none: pages without a similarity (fewer than two usable pictures), named below the figure.
    """
    figure, axes = plt.subplots(figsize=(8.0, 3.8), layout="constrained")
    width = histogram["high"] - histogram["low"]
    base = np.zeros(len(histogram))
    kinds = [c for c in histogram.columns if c not in ("low", "high")]
    axes.axvspan(*band, color=BAND, alpha=0.13, lw=0, label=f"kept: [{band[0]:g}, {band[1]:g}]")
    for edge in band:
        axes.axvline(edge, color=BAND, lw=1, ls="--")
    for kind, colour in zip(kinds, COLOURS * (1 + len(kinds) // len(COLOURS)), strict=False):
        count = histogram[kind].to_numpy()
        name = f"{kind.replace('_', ' ')} ({count.sum()})"
        axes.bar(histogram["low"], count, width, bottom=base, align="edge", color=colour, label=name)
        base += count
    shown = histogram.loc[base > 0, "low"]
    axes.set_xlim(max(float(histogram["low"].iloc[0]), min([*shown, band[0]]) - 0.05), 1.0)
    below = f"; {none} pages with fewer than two usable pictures are not shown" if none else ""
    axes.set_ylim(0, 1.08 * max(1.0, base.max(initial=0)))
    axes.set_xlabel(f"mean pairwise cosine of the page's pictures{below}")
    axes.set_ylabel("pages")
    axes.set_title(summary, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def save_figure(figure: Figure, path: str | Path, dpi: int = 150) -> None:
    """Write a figure as PNG, atomically and without the date and version that would change its bytes."""
    with atomic_path(path) as part:
        figure.savefig(part, format="png", dpi=dpi, metadata={"Software": None})
    plt.close(figure)
