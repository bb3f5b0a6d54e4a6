"""The table of methods, of what ``aggregate`` gives, as CSV, LaTeX and plain text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from suti.ratings.schemes import SCHEMES

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def columns(result: Mapping[str, Any]) -> list[str]:
    """The values of a method that tables show."""
    names = list(SCHEMES[result["scheme"]].names)
    if result["scheme"] == "pairwise":
        return names
    names.append("overall")
    return [*names, *(f"alpha_{name}" for name in names)]


def to_csv(result: Mapping[str, Any]) -> str:
    """A row a method: value, low and high of every column, then the counts."""
    shown = columns(result)
    methods = result["methods"]
    counts = [name for name in next(iter(methods.values())) if name.startswith("n_")]
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["method", *(f"{c}{end}" for c in shown for end in ("", "_low", "_high")), *counts])
    for method, values in methods.items():
        cells = [x for c in shown for x in (estimate(values[c]), values[c]["low"], values[c]["high"])]
        writer.writerow([method, *("" if x is None else x for x in cells), *(values[name] for name in counts)])
    return lines.getvalue()


def to_latex(result: Mapping[str, Any]) -> str:
    """The same for LaTeX (booktabs), without counts."""
    shown = columns(result)
    lines = [
        f"% {describe(result)}",
        rf"\begin{{tabular}}{{l{'r' * len(shown)}}}",
        r"\toprule",
        " & ".join(["Method", *(_tex(name.replace("_", " ")) for name in shown)]) + r" \\",
        r"\midrule",
    ]
    for method, values in result["methods"].items():
        cells = [cell(values[name]).replace("-", "$-$") for name in shown]
        lines.append(" & ".join([_tex(method), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def to_text(result: Mapping[str, Any]) -> str:
    """What the command prints: the table, and what one must know to read it."""
    shown = columns(result)
    rows = [["method", *shown]]
    rows += [[method, *(cell(values[name]) for name in shown)] for method, values in result["methods"].items()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append(describe(result))
    for name, question in result.get("questions", {}).items():
        left = question["left_share"]
        side = "" if left is None else f", {left:.2f} of the preferences for the left side"
        lines.append(f"{name}: tie propensity {cell(question['tie'])}, alpha {cell(question['alpha'])}{side}")
    if "agreement" in result:
        lines.append("all methods: " + ", ".join(f"{k} {cell(v)}" for k, v in result["agreement"].items()))
    for name, rater in result["raters"].items():
        if rater["flagged"]:
            verb = "left out" if name in result["excluded_raters"] else "counted"
            lines.append(f"{verb}: rater {name} failed {rater['n_failed']} of {rater['n_checks']} attention checks")
    return "\n".join([*lines, ""])


def describe(result: Mapping[str, Any]) -> str:
    """What the numbers are, in one line."""
    used = len(result["raters"]) - len(result["excluded_raters"])
    low, high = result["bootstrap"]["percentiles"]
    return (
        f"{result['n_ratings']} ratings of {result['n_items']} items by {used} raters; {high - low:g} % intervals over "
        f"{result['n_clusters']} {result['bootstrap']['over']}, {result['bootstrap']['resamples']} resamples, "
        f"seed {result['bootstrap']['seed']}"
    )


def estimate(value: Mapping[str, Any]) -> float | None:
    """The mean of a score; the value of an alpha or a strength, which are no means."""
    return value["mean"] if "mean" in value else value["value"]


def cell(value: Mapping[str, Any]) -> str:
    """'.741 [.702, .778]'; '' where there is no value, '.741' where there is no interval."""
    number = estimate(value)
    if number is None:
        return ""
    if value["low"] is None:
        return _decimal(number)
    return f"{_decimal(number)} [{_decimal(value['low'])}, {_decimal(value['high'])}]"


def _decimal(value: float) -> str:
    text = f"{round(value, 3) + 0.0:.3f}"  # + 0.0 makes -0.0 positive
    return text.replace("0.", ".", 1) if abs(round(value, 3)) < 1 else text


def _tex(text: str) -> str:
    return "".join(SPECIAL.get(c, "\\" + c if c in "&%$#_{}" else c) for c in text)
