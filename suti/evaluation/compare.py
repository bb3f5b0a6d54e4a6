"""Which numbers and claims of two results folders agree within their spread.

A number is a metric's mean over subjects with its 95 % interval (``suti.evaluation.summary``). Two means agree where
their difference is at most sqrt(hA^2 + hB^2), h being half of an interval's width: for two independent means that is
about the 95 % interval of their difference. Means over the same subjects vary together, so there the rule is wide: it
lets more pass than a paired test, and claims.json has the paired ones.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from suti.io.atomic import read_json

Verdict = Literal["equal", "agrees", "differs", "only in A", "only in B"]
Change = Literal["flips", "decided in A only", "decided in B only"]
COMPOSITIONAL = "compositional/"
"""What stands before a metric's name where it is of the compositional prompts."""
REMEDY = "run the workflow (`make run`) and name its results folder, or name one like docs/results/tiny"


class Figure(NamedTuple):
    """A metric's mean over subjects, the ends of its 95 % interval, and the number of subjects."""

    mean: float
    low: float
    high: float
    n_subjects: int

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Results:
    """What a results folder says.

    Attributes:
        folder: where it lies.
        figures: by (run, metric); metrics of compositional prompts begin with ``COMPOSITIONAL``.
        protocols: run -> how it was measured.
        claims: content of claims.json; None where the folder has none.
    """

    folder: Path
    figures: Mapping[tuple[str, str], Figure]
    protocols: Mapping[str, Mapping[str, Any]]
    claims: Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True)
class Row:
    """A number of one folder or of both. ``difference`` is B - A; it and ``spread`` are None where one is missing."""

    run: str
    metric: str
    a: Figure | None
    b: Figure | None
    difference: float | None
    spread: float | None
    verdict: Verdict


@dataclass(frozen=True)
class ClaimChange:
    """A claim that the two folders decide differently: ``a`` and ``b`` are its ``holds``; ``same_rule`` says whether
    both were decided by one rule."""

    number: str
    name: str
    a: bool | None
    b: bool | None
    change: Change
    same_rule: bool


def read_results(folder: str | Path) -> Results:
    """Read the summaries (metrics/*.json) and the claims of a results folder, or of a folder of docs/results.

    Raises:
        ValueError: no such folder, no summary in it, or a file that is no summary or no list of claims.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; {REMEDY}")
    paths = sorted((folder / "metrics").glob("*.json"))
    if not paths:
        raise ValueError(f"{folder}: no metrics/*.json, so these are no results of this workflow; {REMEDY}")
    figures: dict[tuple[str, str], Figure] = {}
    protocols: dict[str, Mapping[str, Any]] = {}
    for path in paths:
        report = read_json(path)
        try:
            figures |= {(path.stem, metric): figure for metric, figure in _figures(report).items()}
            protocols[path.stem] = dict(report.get("protocol") or {})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path}: no summary of a run, so {folder} is foreign or older; {REMEDY}") from error
    return Results(folder, figures, protocols, _claims(folder))


def _figures(report: Mapping[str, Any]) -> dict[str, Figure]:
    # A run that drew the compositional prompts alone has their figures under `metrics` too (suti.evaluation.summary).
    lists = {"": report["metrics"] if report.get("prompts", "templates") == "templates" else {}}
    lists[COMPOSITIONAL] = (report.get("compositional") or {}).get("all") or {}
    return {
        prefix + metric: Figure(float(e["mean"]), float(e["low"]), float(e["high"]), int(e["n_subjects"]))
        for prefix, entries in lists.items()
        for metric, e in entries.items()
        if e["mean"] is not None
    }


def _claims(folder: Path) -> list[dict[str, Any]] | None:
    path = folder / "claims.json"
    if not path.is_file():
        return None
    claims = read_json(path)
    if not isinstance(claims, list) or not all(isinstance(c, dict) and {"name", "holds"} <= set(c) for c in claims):
        raise ValueError(f"{path}: no list of claims, so {folder} is foreign or older; {REMEDY}")
    return claims


def compare(a: Results, b: Results, metrics: Collection[str] = ()) -> list[Row]:
    """Every number of either folder with its verdict, by run and metric.

    Args:
        metrics: metrics to compare; a plain name takes that of the compositional prompts with it. All if empty.

    Raises:
        ValueError: a metric that neither folder has.
    """
    keys = sorted({*a.figures, *b.figures}, key=lambda key: (key[0], key[1].startswith(COMPOSITIONAL), key[1]))
    known = {name for _, metric in keys for name in (metric, metric.removeprefix(COMPOSITIONAL))}
    if unknown := sorted(set(metrics) - known):
        raise ValueError(
            f"--metrics: {unknown[0]!r} is in neither {a.folder} nor {b.folder}; choose from {', '.join(sorted(known))}"
        )
    return [
        _row(run, metric, a.figures.get((run, metric)), b.figures.get((run, metric)))
        for run, metric in keys
        if not metrics or {metric, metric.removeprefix(COMPOSITIONAL)} & set(metrics)
    ]


def _row(run: str, metric: str, a: Figure | None, b: Figure | None) -> Row:
    if a is None or b is None:
        return Row(run, metric, a, b, None, None, "only in B" if a is None else "only in A")
    difference, spread = b.mean - a.mean, math.hypot(a.half_width, b.half_width)
    verdict: Verdict = "agrees" if abs(difference) <= spread else "differs"
    return Row(run, metric, a, b, difference, spread, "equal" if a[:3] == b[:3] else verdict)


def changed_claims(a: Results, b: Results) -> list[ClaimChange]:
    """Claims of either folder that the other decides otherwise or not at all, in A's order and then B's."""
    found_a, found_b = ({claim["name"]: claim for claim in results.claims or []} for results in (a, b))
    changes = []
    for name in [*found_a, *(name for name in found_b if name not in found_a)]:
        one, other = found_a.get(name, {}), found_b.get(name, {})
        x, y = one.get("holds"), other.get("holds")
        if x is y:
            continue
        change: Change = "decided in B only" if x is None else "decided in A only" if y is None else "flips"
        number = str(one.get("number") or other.get("number") or "")
        same_rule = not one or not other or one.get("rule") == other.get("rule")  # what is in one alone changed no rule
        changes.append(ClaimChange(number, name, x, y, change, same_rule))
    return changes


def protocol_differences(a: Results, b: Results) -> dict[tuple[str, ...], list[str]]:
    """What the protocols of a run differ in, of what both state, with the runs of which that is so."""
    found: dict[tuple[str, ...], list[str]] = {}
    for run in sorted(set(a.protocols) & set(b.protocols)):
        one, other = a.protocols[run], b.protocols[run]
        if fields := tuple(sorted(field for field in set(one) & set(other) if one[field] != other[field])):
            found.setdefault(fields, []).append(run)
    return found


def counts(rows: Sequence[Row]) -> dict[Verdict, int]:
    """Number of rows of each verdict, also of those that none has."""
    return {verdict: sum(row.verdict == verdict for row in rows) for verdict in get_args(Verdict)}


def to_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV in full precision: run, metric, of A and B mean, low, high and n_subjects, difference (B - A),
    spread, verdict."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    sides = [f"{side}_{field}" for side in "ab" for field in Figure._fields]
    writer.writerow(["run", "metric", *sides, "difference", "spread", "verdict"])
    for row in rows:
        cells = [cell for side in (row.a, row.b) for cell in (side or [None] * len(Figure._fields))]
        writer.writerow([row.run, row.metric, *cells, row.difference, row.spread, row.verdict])
    return text.getvalue()
