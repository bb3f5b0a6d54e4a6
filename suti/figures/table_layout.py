"""How a table is printed: its cells, LaTeX, and a figure in the manner of booktabs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from suti.evaluation import published
from suti.figures.style import GREY, INK, RC
from suti.figures.tables import HUMAN, Table

MINUS = "\u2212"
UNITS = ("B", "KB", "MB", "GB")


def cell(row: Mapping, column: str, with_interval: bool) -> str:
    """A printed cell: '' where there is no value, '.741 [.702, .778]' with an interval."""
    value = row[column]
    if pd.isna(value):
        return ""
    if column in ("n_subjects", "n_prompts", "n_images"):
        return f"{int(value)}"
    if column == "bytes":
        return size(value)
    if "seconds" in column:
        return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    if not with_interval:
        two = column.removeprefix("published_") in HUMAN  # the paper prints two decimals of its votes
        return _decimal(value, 2 if two else 3)
    return f"{_decimal(value)} [{_decimal(row[f'{column}_low'])}, {_decimal(row[f'{column}_high'])}]"


def size(count: float) -> str:
    """Bytes in three digits: '0', '768 B', '4.55 MB' (powers of 1,000)."""
    if not count:
        return "0"
    power = min(int(np.log10(count) // 3), len(UNITS) - 1)
    return f"{count / 1000**power:.3g} {UNITS[power]}"


def _decimal(value: float, places: int = 3) -> str:
    text = f"{round(value, places) + 0.0:.{places}f}"  # + 0.0 makes -0.0 positive
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def to_latex(table: Table) -> str:
    """LaTeX of a table (booktabs): one heading over the columns of each group."""
    columns = [column for _, group in table.groups for column in group]
    heads = [rf"\multicolumn{{{len(group)}}}{{c}}{{{_tex(name)}}}" for name, group in table.groups]
    rules, start = [], 2
    for _, group in table.groups:
        rules.append(rf"\cmidrule(lr){{{start}-{start + len(group) - 1}}}")
        start += len(group)
    lines = [
        rf"% {table.title}. {published.SOURCE}",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        " & ".join(["", *heads]) + r" \\",
        " ".join(rules),
    ]
    if any(sub for sub, _, _ in columns):
        lines.append(" & ".join(["Method", *(_tex(sub) for sub, _, _ in columns)]) + r" \\")
    lines.append(r"\midrule")
    for row in table.frame.to_dict("records"):
        cells = [_tex(cell(row, column, interval)) for _, column, interval in columns]
        lines.append(" & ".join([_tex(row["method"]), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _tex(text: str) -> str:
    for character in "&%#_":
        text = text.replace(character, "\\" + character)
    return text.replace(" - ", " $-$ ").replace("[-", "[$-$").replace(", -", ", $-$")


def draw(table: Table) -> Figure:
    """The table as a figure in the manner of booktabs; close it after saving."""
    columns = [column for _, group in table.groups for column in group]
    rows = [[cell(row, column, interval) for _, column, interval in columns] for row in table.frame.to_dict("records")]
    rows = [[text.replace("-", MINUS) for text in cells] for cells in rows]
    names = [name.replace(" - ", f" {MINUS} ") for name in table.frame["method"]]
    widths = [max([len(sub) + 1, *(len(r[i]) for r in rows), 5]) + 2 for i, (sub, _, _) in enumerate(columns)]
    for name, group in table.groups:  # a heading must fit over its columns
        first = columns.index(group[0])
        short = len(name) + 2 - sum(widths[first : first + len(group)])
        widths[first] += max(0, short)
    left = max([len(name) for name in names] + [6]) + 2
    em, line = 0.083, 0.27
    note = textwrap.wrap(table.note, int((left + sum(widths)) * 1.32))
    width, height = (left + sum(widths)) * em + 0.3, (len(rows) + 2) * line + 0.75 + 0.15 * len(note)
    with plt.rc_context(RC):
        fig = plt.figure(figsize=(width, height))
        axes = fig.add_axes((0.15 / width, 0, 1 - 0.3 / width, 1))
        axes.set(xlim=(0, left + sum(widths)), ylim=(0, height))
        axes.axis("off")
        edges = [left + sum(widths[:i]) for i in range(len(widths) + 1)]
        y = height - 0.32
        axes.text(0, y, table.title, fontsize=12, fontweight="bold", va="center")
        y -= 0.24
        axes.plot((0, edges[-1]), (y, y), color=INK, lw=1.4)
        for name, group in table.groups:
            first = columns.index(group[0])
            a, b = edges[first], edges[first + len(group)]
            axes.text((a + b) / 2, y - line / 2, name, ha="center", va="center", fontweight="bold", fontsize=10)
            axes.plot((a + 0.8, b - 0.8), (y - line, y - line), color=GREY, lw=0.6)
        for i, (sub, _, _) in enumerate(columns):
            axes.text(edges[i + 1] - 1, y - 1.5 * line, sub, ha="right", va="center", fontsize=9, color=GREY)
        y -= 2 * line
        axes.plot((0, edges[-1]), (y, y), color=INK, lw=0.8)
        for name, cells in zip(names, rows, strict=True):
            axes.text(0, y - line / 2, name, va="center", fontsize=10)
            for i, text in enumerate(cells):
                colour = GREY if columns[i][1].startswith("published") else INK
                axes.text(edges[i + 1] - 1, y - line / 2, text, ha="right", va="center", fontsize=10, color=colour)
            y -= line
        axes.plot((0, edges[-1]), (y, y), color=INK, lw=1.4)
        axes.text(0, y - 0.09, "\n".join(note), va="top", fontsize=8, color=GREY)
    return fig
