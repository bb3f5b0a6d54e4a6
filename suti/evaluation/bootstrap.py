"""Bootstrap intervals over subjects, and over trainings where a run has several.

Pictures of one subject are not independent, so subjects are resampled, not pictures: the estimate is the
mean of the subjects' means, the interval its 95 % percentile interval. The draws are keyed by the seed
alone, so every system that is judged on the same subjects sees the same resamples and differences between
systems are paired.

An apprentice's figure differs from training to training too. Where a table holds several trainings of a run, the
estimate is their mean, and the bootstrap is crossed: each resample draws subjects, and draws as many trainings with
replacement. T trainings resampled so vary by (T - 1) / T of their variance, which understates it by half where T = 2;
their deviations from their mean are therefore enlarged by sqrt(T / (T - 1)). The draws of trainings are keyed by what
was trained, so that one apprentice with one and with five demonstrations is compared training by training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from suti.evaluation.metrics import METRICS
from suti.runs import Run
from suti.seeds import generator

Summary = dict[str, float | int | None]
PAIR = ["subject_id", "prompt_id", "image_index"]
LEVEL = (2.5, 97.5)


List = Literal["templates", "compositional", "both"]
_LISTS = {"templates": r"(?![ac]\d{1,4}$).*", "compositional": r"c\d{1,3}[1-3]", "both": r"(?!a\d{1,2}$).*"}
"""Pattern of the prompt ids of each list."""


def list_rows(image_metrics: pd.DataFrame, prompts: List) -> pd.DataFrame:
    """The rows of one of a benchmark's two lists, or of both: its templates and photos, or its compositional prompts
    (c11, c12, ...: ``suti.benchmark.world.compositional_prompts``).

    Art styles (a1, a2, ...) are shown on sheets alone and belong to neither.
    """
    return image_metrics[image_metrics["prompt_id"].str.fullmatch(_LISTS[prompts])]


def template_rows(image_metrics: pd.DataFrame) -> pd.DataFrame:
    """``list_rows`` of the templates."""
    return list_rows(image_metrics, "templates")


def deciding_list(runs: Iterable[pd.DataFrame]) -> List:
    """The list on which runs are compared: compositional where each has it for half of its subjects or more."""
    for run in runs:
        subjects = run["subject_id"].nunique()
        if 2 * list_rows(run, "compositional")["subject_id"].nunique() < max(subjects, 1):
            return "templates"
    return "compositional"


def by_run(frames: Iterable[pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables 'image_metrics', one a run and training, by run: those of further trainings follow the first's rows."""
    found: dict[str, list[pd.DataFrame]] = {}
    for frame in sorted(frames, key=_training):
        if len(frame):
            found.setdefault(str(Run.parse(str(frame["run"].iloc[0])).first), []).append(frame)
    return {name: parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def _training(frame: pd.DataFrame) -> int:
    return Run.parse(str(frame["run"].iloc[0])).training if len(frame) else 1


def on_list(runs: Mapping[str, pd.DataFrame], prompts: List) -> dict[str, pd.DataFrame]:
    """The runs, each cut to one list; those without a row of it are left out."""
    return {name: rows for name, frame in runs.items() if len(rows := list_rows(frame, prompts))}


def trainings(image_metrics: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each training of a run, the first one's first; a table without names of runs is one."""
    if "run" not in image_metrics or image_metrics["run"].nunique() < 2:
        return [image_metrics]
    parts = {str(name): rows for name, rows in image_metrics.groupby("run", sort=False)}
    if len({Run.parse(name).first for name in parts}) > 1:
        raise ValueError(f"runs {', '.join(parts)} in one table, expected the trainings of one run")
    return [parts[name] for name in sorted(parts, key=lambda name: Run.parse(name).training)]


def resamples(subjects: int, bootstrap: int, seed: int) -> np.ndarray:
    """int64 (bootstrap, subjects): the subjects of each resample, the same for all systems of a benchmark."""
    return generator(seed, "bootstrap").integers(0, subjects, size=(bootstrap, subjects))


def interval(
    subject_means: np.ndarray,
    bootstrap: int,
    seed: int,
    level: tuple[float, float] = LEVEL,
    weights: np.ndarray | None = None,
    deviations: Mapping[str, np.ndarray] | None = None,
) -> tuple[float, float, float]:
    """Mean of (S,) subject means and the ends of its percentile interval over ``bootstrap`` resamples: of 95 %,
    or between the two percentiles of ``level``.

    With weights (S,), the subjects' numbers of pictures, all is the mean over pictures instead of over subjects.
    ``deviations`` holds, by name of what was trained, (T, S) subject means of each training less their mean over the
    trainings; one training adds nothing.
    """
    draws = resamples(len(subject_means), bootstrap, seed)

    def drawn(values: np.ndarray) -> np.ndarray:
        if weights is None:
            return values[draws].mean(axis=1)
        return (values * weights)[draws].sum(axis=1) / weights[draws].sum(axis=1)

    found = drawn(subject_means)
    for name, parts in (deviations or {}).items():
        if (count := len(parts)) > 1:
            chosen = generator(seed, "bootstrap", "trainings", name).integers(0, count, size=(bootstrap, count))
            by_training = np.stack([drawn(part) for part in parts], axis=1)
            spread = np.take_along_axis(by_training, chosen, axis=1).mean(axis=1)
            found = found + np.sqrt(count / (count - 1)) * spread
    low, high = np.percentile(found, level)
    mean = subject_means.mean() if weights is None else (subject_means * weights).sum() / weights.sum()
    return float(mean), float(low), float(high)


def subject_means(image_metrics: pd.DataFrame, metric: str) -> pd.Series:
    """Mean of a metric for each subject, sorted by subject; pictures without the metric do not count."""
    rows = image_metrics.sort_values(PAIR).dropna(subset=[metric])
    return rows.groupby("subject_id", sort=True)[metric].mean()


def training_means(image_metrics: pd.DataFrame, metric: str) -> list[float]:
    """Mean of a metric in each training, on the pictures that all trainings have."""
    parts = trainings(image_metrics)
    if len(parts) > 1:
        parts = list(_cut({str(number): part for number, part in enumerate(parts)}).values())
    return [float(subject_means(part, metric).mean()) for part in parts]


def summarise(
    image_metrics: pd.DataFrame,
    bootstrap: int,
    seed: int,
    metrics: Sequence[str] = METRICS,
    aggregate: Literal["subjects", "images"] = "subjects",
) -> dict[str, Summary]:
    """Mean and interval of every metric of one run, of all its trainings on the pictures that all of them have.

    Args:
        metrics: columns to summarise; all of ``METRICS`` if left out.
        aggregate: 'subjects' for the mean of the subjects' means, 'images' for the mean of all pictures.

    Returns:
        {metric: {mean, low, high, n_subjects, n_images, n_trainings}}; n_images counts a picture once, however many
        trainings drew it. Mean, low and high are None where no picture has
        it.
    """
    return {metric: _summary(Cells.of(image_metrics, metric), metric, bootstrap, seed, aggregate) for metric in metrics}


@dataclass(frozen=True)
class Cells:
    """A metric of a run, or of a difference of two: ``frame`` holds PAIR and the mean over trainings of each picture;
    ``trained`` by name of what was trained, each training's pictures less that mean, in the order of ``frame``."""

    frame: pd.DataFrame
    trained: Mapping[str, list[np.ndarray]]
    n_trainings: int

    @classmethod
    def of(cls, image_metrics: pd.DataFrame, metric: str) -> Cells:
        """Of one run; what a training lacks is left out of all."""
        parts = trainings(image_metrics)
        if len(parts) == 1:
            return cls(image_metrics, {}, 1)
        columns = [part.set_index(PAIR)[metric].astype(float) for part in parts]
        table = pd.concat(columns, axis=1, join="inner").dropna().sort_index()
        values = table.to_numpy()
        centre = values.mean(axis=1)
        name = Run.parse(str(parts[0]["run"].iloc[0])).model
        frame = table.index.to_frame(index=False).assign(**{metric: centre})
        return cls(frame, {name: [column - centre for column in values.T]}, len(parts))


def _summary(
    cells: Cells, metric: str, bootstrap: int, seed: int, aggregate: str, level: tuple[float, float] = LEVEL
) -> Summary:
    means = subject_means(cells.frame, metric)
    if len(means) == 0:
        nothing: Summary = {"mean": None, "low": None, "high": None}
        return nothing | {"n_subjects": 0, "n_images": 0, "n_trainings": 0}
    counts = cells.frame.dropna(subset=[metric]).groupby("subject_id", sort=True).size()
    weights = counts.reindex(means.index).to_numpy() if aggregate == "images" else None
    deviations = {
        name: np.stack([subject_means(cells.frame.assign(**{metric: part}), metric).to_numpy() for part in parts])
        for name, parts in cells.trained.items()
    }
    mean, low, high = interval(means.to_numpy(), bootstrap, seed, level, weights, deviations)
    counted: Summary = {"n_subjects": len(means), "n_images": int(counts.sum()), "n_trainings": cells.n_trainings}
    found: Summary = {"mean": mean, "low": low, "high": high}
    return found | counted


def common_pairs(runs: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The runs, each cut to the (subject, prompt, image number) triples that all of them have.

    Raises:
        ValueError: they have none in common.
    """
    if not runs:
        return {}
    return _cut(runs)


def _cut(runs: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    pairs = [
        {tuple(row) for row in part[PAIR].itertuples(index=False)} for run in runs.values() for part in trainings(run)
    ]
    shared = set.intersection(*pairs)
    if not shared:
        raise ValueError(f"runs {', '.join(runs)}: no (subject, prompt) in common; make their generations anew")
    return {
        name: run[[tuple(row) in shared for row in run[PAIR].itertuples(index=False)]] for name, run in runs.items()
    }


def difference(
    first: pd.DataFrame,
    second: pd.DataFrame,
    bootstrap: int,
    seed: int,
    metrics: Sequence[str] = METRICS,
    level: tuple[float, float] = LEVEL,
) -> dict[str, Summary]:
    """``summarise`` of first minus second, picture by picture on what both have: a paired comparison of two
    runs.

    Trainings of one apprentice, shown more or fewer demonstrations, are paired by their numbers, and those that only
    one of the two has are left out. Trainings of two apprentices are resampled each by itself. n_trainings is the
    larger of the two numbers.
    """
    first, second = _paired_trainings(first, second)
    shared = common_pairs({"first": first, "second": second})
    left, right = shared["first"], shared["second"]
    return {
        metric: _summary(_minus(left, right, metric), metric, bootstrap, seed, "subjects", level) for metric in metrics
    }


def _paired_trainings(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    if len(trainings(first)) == len(trainings(second)) == 1:
        return first, second
    names = [
        [Run.parse(str(name)) for name in frame.get("run", pd.Series(dtype=str)).unique()] for frame in (first, second)
    ]
    if not all(names) or len({run.model for runs in names for run in runs}) > 1 or not names[0][0].is_suti:
        return first, second
    both = set.intersection(*({run.training for run in runs} for runs in names))
    kept = [{str(run) for run in runs if run.training in both} for runs in names]
    return first[first["run"].isin(kept[0])], second[second["run"].isin(kept[1])]


def _minus(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> Cells:
    """A metric of first minus second, of runs cut to what both have."""
    sides: list[pd.Series] = []
    trained: dict[str, list[pd.Series]] = {}
    for frame, sign in ((first, 1), (second, -1)):
        cells = Cells.of(frame, metric)
        centre = cells.frame.set_index(PAIR)[metric].astype(float).sort_index()
        sides.append(centre)
        for name, parts in cells.trained.items():
            series = [pd.Series(sign * part, index=pd.MultiIndex.from_frame(cells.frame[PAIR])) for part in parts]
            known = trained.get(name)
            trained[name] = [a + b for a, b in zip(known, series, strict=True)] if known else series
    delta = (sides[0] - sides[1]).dropna() if trained else sides[0] - sides[1]
    deviations = {name: [part.reindex(delta.index).to_numpy() for part in found] for name, found in trained.items()}
    number = max(len(trainings(first)), len(trainings(second)))
    return Cells(delta.rename(metric).reset_index(), deviations, number)
