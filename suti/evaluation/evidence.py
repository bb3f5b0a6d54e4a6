"""What a run has measured, and what a claim comes to: the words that the rules of ``suti.evaluation.claims`` share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from suti.evaluation.bootstrap import (
    LEVEL,
    PAIR,
    List,
    common_pairs,
    deciding_list,
    difference,
    on_list,
    subject_means,
)
from suti.runs import Run


class NotMeasured(Exception):
    """A run, a score or a time that a claim needs is not there; the message says which."""


@dataclass(frozen=True)
class Evidence:
    """What a run has measured.

    runs: table 'image_metrics' by run, all trainings of a run together. filtered: reports of filter_samples.
    timings: content of NAME.timing.json by run. suti_run: the main result, 'suti-{lambda}-k{k}'. experts: metrics of
    the experts' own samples for compositional prompts, on other subjects.
    """

    runs: Mapping[str, pd.DataFrame]
    filtered: Sequence[Mapping[str, Any]]
    timings: Mapping[str, Mapping[str, Any]]
    suti_run: str
    bootstrap: int
    seed: int
    experts: pd.DataFrame | None = None

    def on(self, prompts: List) -> tuple[Evidence, List]:
        """The evidence of one list of prompts, and which: of the templates where SuTI drew no compositional ones."""
        drawn = [frame for name, frame in self.runs.items() if Run.parse(name).is_suti]
        if prompts == "compositional" and (not drawn or deciding_list(drawn) == "templates"):
            prompts = "templates"
        return replace(self, runs=on_list(self.runs, prompts)), prompts

    @property
    def suti(self) -> Run:
        """``suti_run``, taken apart."""
        return Run.parse(self.suti_run)

    def shared(self, *names: str) -> dict[str, pd.DataFrame]:
        """The runs of these names, cut to the pictures that all of them have."""
        missing = [name for name in names if name not in self.runs]
        if missing:
            raise NotMeasured(f"no metrics of run {', '.join(missing)}")
        try:
            return common_pairs({name: self.runs[name] for name in names})
        except ValueError as error:
            raise NotMeasured(str(error)) from error

    def change(
        self, first: pd.DataFrame, second: pd.DataFrame, metric: str, level: tuple[float, float] = LEVEL
    ) -> Estimate:
        """First minus second, picture by picture; the interval is over subjects and trainings (``bootstrap``)."""
        found = difference(first, second, self.bootstrap, self.seed, [metric], level)[metric]
        numbers = [value for value in (found[name] for name in ("mean", "low", "high")) if value is not None]
        if len(numbers) < 3:
            raise NotMeasured(f"no picture of both has the metric {metric}")
        return Estimate(*numbers)


@dataclass(frozen=True)
class Estimate:
    """A mean over subjects and trainings, and the ends of its interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


@dataclass(frozen=True)
class Finding:
    """What one claim comes to: ``ours`` is the figures in words, ``frame`` the pictures that were compared."""

    holds: bool
    ours: str
    figures: dict[str, Any]
    intervals: dict[str, Estimate]
    frame: pd.DataFrame


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the rule that decides it here, on one of the benchmark's lists of prompts.

    The paper's lambda and demonstration curves and its human scores are on compositional prompts.
    """

    number: str
    name: str
    statement: str
    rule: str
    decide: Callable[[Evidence], Finding]
    on: List = "templates"


def measured(frames: Mapping[str, pd.DataFrame], metrics: Sequence[str], needed: int) -> list[str]:
    """Those of the metrics that all runs have; NotMeasured if they are fewer than needed."""
    found = [m for m in metrics if all(frame[m].notna().any() for frame in frames.values())]
    if len(found) < needed:
        missing = [m for m in metrics if m not in found]
        raise NotMeasured(f"no score {' or '.join(missing)} of {', '.join(frames)}")
    return found


def mean(frame: pd.DataFrame, metric: str) -> float:
    """Mean over subjects of their means."""
    return float(subject_means(frame, metric).mean())


def ceiling(real: pd.DataFrame | None, found: Finding) -> dict[str, float]:
    """The true pictures' own means of what a finding compares, on its subjects and prompts."""
    if real is None:
        return {}
    pairs = set(found.frame[PAIR[:2]].itertuples(index=False, name=None))
    rows = real[np.array([pair in pairs for pair in real[PAIR[:2]].itertuples(index=False, name=None)], bool)]
    return {name: mean(rows, name) for name in found.intervals if name in rows and rows[name].notna().any()}
