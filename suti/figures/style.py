"""What all figures share: colours that colour-blind readers can tell apart, type, names of systems, and
saving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from suti.baselines.systems import SYSTEMS
from suti.io.atomic import atomic_path, write_text
from suti.runs import BASE, EXPERTS, REAL, SUTI, Run

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

# Okabe & Ito (2008); black text and light grey are kept for what is not data.
BLUE, ORANGE, GREEN, PINK, SKY, VERMILION = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
INK, GREY, LIGHT = "#222222", "#767676", "#DDDDDD"

COLOURS = {
    "overall": BLUE, "subject_text": INK, "subject": VERMILION, "text": GREEN, "realism": PINK,
    "dino": BLUE, "clip_i": VERMILION, "clip_t": GREEN,
}  # fmt: skip
MARKERS = {
    "overall": "o",
    "subject_text": "v",
    "subject": "s",
    "text": "^",
    "realism": "D",
    "dino": "o",
    "clip_i": "s",
    "clip_t": "^",
}
METRIC_NAMES = {
    "overall": "Overall", "subject_text": "Subject and text", "subject": "Subject", "text": "Text",
    "realism": "Realism",
    "dino": "DINO", "clip_i": "CLIP-I", "clip_t": "CLIP-T",
}  # fmt: skip
CONTROL_NAMES = {"random": "random\nsubset", "copies": "copies\nplanted", "copies-filtered": "copies,\nfiltered"}
RC: dict[RcKeyType, Any] = {
    "font.family": "DejaVu Sans", "font.size": 11, "axes.titlesize": 12, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.labelsize": 11, "xtick.labelsize": 10, "ytick.labelsize": 10,
    "legend.fontsize": 10, "legend.frameon": False, "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": GREY, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.grid": False, "grid.color": LIGHT, "figure.facecolor": "white", "svg.hashsalt": "suti",
}  # fmt: skip
DPI = 160


@contextmanager
def figure(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of width x height inches with one pair of axes in the house style, closed at the end."""
    with plt.rc_context(RC):
        fig, axes = plt.subplots(figsize=(width, height), layout="constrained")
        try:
            yield fig, axes
        finally:
            plt.close(fig)


def save(fig: Figure, path: str | Path) -> None:
    """Write a PNG atomically, without the date and version that would make equal figures differ."""
    # Ticks are made while drawing, so the style must hold here too.
    with plt.rc_context(RC), atomic_path(path) as part:
        fig.savefig(part, format="png", dpi=DPI, metadata={"Software": None})


def save_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write CSV atomically, six significant digits, empty where there is no value."""
    write_text(path, frame.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def run_name(run: str) -> str:
    """Readable name of a run: 'suti-q0.4-k4' is 'SuTI'."""
    system = Run.parse(run).system
    if system in SYSTEMS:
        return SYSTEMS[system].title
    return {REAL: "Real images", BASE: "Base (text only)", SUTI: "SuTI", EXPERTS: "Experts"}.get(system, run)


def score_name(name: str) -> str:
    """A score of ``suti.filtering.SCORES`` as titles and labels write it."""
    return "delta-CLIP" if name == "delta_clip" else name.replace("_", " ")


def short_score_name(name: str) -> str:
    """A score as columns and small labels write it."""
    return "delta" if name == "delta_clip" else name


def lambda_name(lam: str) -> str:
    """A lambda as an axis label: 'none', '0.02', or 'q0.4' as '40 % quantile'; or a control by its name."""
    if lam in CONTROL_NAMES:
        return CONTROL_NAMES[lam]
    return f"{float(lam[1:]) * 100:g} %\nquantile" if lam.startswith("q") else lam
