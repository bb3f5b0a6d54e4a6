"""The paper's claims with our figures, as Markdown and as a table to look at."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from suti.figures.style import GREEN, GREY, INK, LIGHT, RC, VERMILION

VERDICT = {True: "holds", False: "does not hold", None: "undecided"}
COLOUR = {True: GREEN, False: VERMILION, None: GREY}
WIDTHS = {"number": 4, "claim": 42, "ours": 72, "holds": 14}  # of the columns
LETTERS = 1.1  # of an average text in one unit of width
NOTE = (
    "Mean scores, then paired differences [95 % bootstrap interval over subjects and trainings], each claim decided by "
    "one rule (claims.md). Undecided: not run or not measured."
)


def size(claim: Mapping[str, Any]) -> str:
    """On what a claim was decided: 'subjects x prompts a subject, pictures'."""
    if claim["n_subjects"] is None:
        return ""
    return f"{claim['n_subjects']} x {claim['n_prompts']}, {claim['n_images']:,} pictures"


def to_markdown(claims: Sequence[Mapping[str, Any]], title: str = "Claims") -> str:
    """A page: what holds, then each claim with our figures and intervals, its rule, and on how much it was decided.

    Args:
        claims: content of claims.json (``suti.evaluation.claims.judge``).
    """
    counts = {verdict: sum(claim["holds"] is value for claim in claims) for value, verdict in VERDICT.items()}
    lines = [
        f"# {title}",
        "",
        "Written from `claims.json`; do not edit. " + NOTE.replace("(claims.md)", "(below)"),
        "",
        ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) + f" of {len(claims)} claims.",
        "",
        "| | claim | ours | holds | subjects x prompts |",
        "|---|---|---|---|---|",
    ]
    for claim in claims:
        ours = claim["ours"] or claim["reason"]
        cells = [claim["number"], claim["statement"], ours, f"**{VERDICT[claim['holds']]}**", size(claim)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", "## How each was decided", ""]
    lines += [f"- **{claim['number']}** {claim['rule']}." for claim in claims]
    return "\n".join([*lines, ""])


def to_frame(claims: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a claim and interval: number, name, holds, measure, low, high, n_subjects, n_prompts, n_images."""
    rows = []
    for claim in claims:
        fixed = {"number": claim["number"], "name": claim["name"], "holds": VERDICT[claim["holds"]]}
        counts = {name: claim[name] for name in ("n_subjects", "n_prompts", "n_images")}
        for measure, (low, high) in (claim["interval"] or {"": (None, None)}).items():
            rows.append(fixed | {"measure": measure, "low": low, "high": high} | counts)
    return pd.DataFrame(rows).astype({name: "Int64" for name in ("n_subjects", "n_prompts", "n_images")})


def draw(claims: Sequence[Mapping[str, Any]]) -> Figure:
    """The claims as a table; close the figure after saving."""
    rows = []
    for claim in claims:
        ours = "\n".join(
            line
            for part in (claim["ours"] or claim["reason"]).split("; ")
            for line in textwrap.wrap(part, int(LETTERS * WIDTHS["ours"]), subsequent_indent="  ")
        )
        cells = [
            claim["number"],
            textwrap.fill(claim["statement"], int(LETTERS * WIDTHS["claim"])),
            ours,
            VERDICT[claim["holds"]],
        ]
        rows.append((cells, COLOUR[claim["holds"]]))
    em, line, gap = 0.083, 0.19, 0.16
    heights = [gap + line * max(cell.count("\n") + 1 for cell in cells) for cells, _ in rows]
    edges = [sum(list(WIDTHS.values())[:i]) for i in range(len(WIDTHS) + 1)]
    note = textwrap.wrap(NOTE, int(edges[-1] * 1.32))
    width, height = edges[-1] * em + 0.3, sum(heights) + 1.1 + 0.15 * len(note)
    with plt.rc_context(RC):
        fig = plt.figure(figsize=(width, height))
        axes = fig.add_axes((0.15 / width, 0, 1 - 0.3 / width, 1))
        axes.set(xlim=(0, edges[-1]), ylim=(0, height))
        axes.axis("off")
        y = height - 0.32
        axes.text(0, y, "The paper's claims, decided here", fontsize=12, fontweight="bold", va="center")
        y -= 0.24
        axes.plot((0, edges[-1]), (y, y), color=INK, lw=1.4)
        for x, name in zip(edges, ("", "Claim", "Ours", ""), strict=False):
            axes.text(x, y - 0.15, name, fontweight="bold", fontsize=10, va="center")
        y -= 0.3
        for (cells, colour), tall in zip(rows, heights, strict=True):
            axes.plot((0, edges[-1]), (y, y), color=LIGHT, lw=0.7)
            for i, (x, cell) in enumerate(zip(edges, cells, strict=False)):
                last = i == len(cells) - 1
                text = cell.replace(" -", " \N{MINUS SIGN}").replace("[-", "[\N{MINUS SIGN}") if i == 2 else cell
                axes.text(
                    x, y - gap / 2, text, va="top", fontsize=10, linespacing=1.25,
                    color=colour if last else INK, fontweight="bold" if last else "normal",
                )  # fmt: skip
            y -= tall
        axes.plot((0, edges[-1]), (y, y), color=INK, lw=1.4)
        axes.text(0, y - 0.09, "\n".join(note), va="top", fontsize=8, color=GREY)
    return fig
