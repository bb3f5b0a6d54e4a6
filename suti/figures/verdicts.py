"""Sheets of verdicts: what the filter kept of the experts' samples, where SuTI fails, and what Dream-SuTI mends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from suti.benchmark.prompts import select_prompts
from suti.evaluation.bootstrap import PAIR, template_rows
from suti.evaluation.copies import COPIES, mark, thresholds
from suti.evaluation.metrics import SCORES, SIMILARITIES
from suti.figures.grids import Cell, Sheet
from suti.figures.samples import SKILL_NAMES, Gallery
from suti.figures.style import GREEN, VERMILION, run_name, score_name, short_score_name
from suti.runs import REAL

FAILURES = {"subject": "subject lost", "text": "text ignored", "realism": "not realistic"}
"""What a picture below the judge's limit of a score is called."""
COPY = "copies a\ndemonstration"


def failures(gallery: Gallery, run: str, limits: Mapping[str, float], count: int = 6) -> Sheet:
    """Pictures that fail, by kind: the lowest in each score that they fail, and copies; one a subject, with its scores.

    Args:
        limits: the judge's, by score. Without a judge (empty) the rows show the lowest similarities.

    Raises:
        ValueError: the gallery has no metrics of the run.
    """
    if gallery.metrics is None:
        raise ValueError("failures: no metrics given; pass the run's table of image metrics")
    metrics = template_rows(gallery.metrics)
    real = metrics[metrics["run"] == REAL]
    metrics = metrics[(metrics["run"] == run) & (metrics["image_index"] == 0)]
    rows, labels, none = [], [], []
    for name, found in _failed(metrics, real, limits):
        if found.empty:
            none.append(name.replace("\n", " "))
            continue
        cells: list[Cell] = []
        for row in found.drop_duplicates("subject_id").head(count).to_dict("records"):
            text = f"{gallery.prompt(row['subject_id'], row['prompt_id'])}\n{_scores(row)}"
            shown = gallery.sample(run, row["subject_id"], row["prompt_id"], text)
            cells += [gallery.demos(row["subject_id"], 1)[0], shown]
        rows.append(cells + [Cell()] * (2 * count - len(cells)))
        share = f"\n{_percent(len(found) / len(metrics))} of {len(metrics)}" if limits else ""
        labels.append(f"{name}{share}")
    headers = ["demonstration", run_name(run)] * count
    note = "By kind, the worst picture of a subject; beside it one of the subject's demonstrations."
    note += f" No picture: {', '.join(none)}." if none else ""
    return Sheet("Where SuTI fails", rows, headers, labels, note, frozenset(range(2, 2 * count, 2)))


def _failed(
    metrics: pd.DataFrame, real: pd.DataFrame, limits: Mapping[str, float]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Kinds of failure with their pictures, the worst first."""
    scores = [m for m in SCORES if m in limits and metrics[m].notna().any()]
    for score in scores or [m for m in SIMILARITIES if metrics[m].notna().any()]:
        order = metrics.dropna(subset=[score]).sort_values([score, "subject_id", "prompt_id"])
        yield (FAILURES[score], order[order[score] < limits[score]]) if scores else (f"lowest\n{score}", order)
    if len(real):
        marked = mark(metrics, thresholds(real))
        copied = marked[marked[list(COPIES)].fillna(0).any(axis=1)]
        yield COPY, copied.sort_values(["nearest_pixels", "subject_id", "prompt_id"], ascending=[False, True, True])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _scores(row: Mapping) -> str:
    """A picture's scores, a line each; similarities where there is no judge."""
    shown = [m for m in SCORES if pd.notna(row[m])] or [m for m in SIMILARITIES if pd.notna(row[m])]
    return "\n".join(f"{m} {row[m]:.2f}" for m in shown)


def mended(gallery: Gallery, runs: Sequence[str], demonstrations: int = 2, rows: int = 8) -> Sheet:
    """Fig. 7: prompts at which the first run fails and the second does not, one a subject, spread evenly over subjects.

    Args:
        runs: two, e.g. SuTI and Dream-SuTI; the judge says which pictures fail (overall).

    Raises:
        ValueError: the gallery has no metrics.
    """
    if gallery.metrics is None:
        raise ValueError("mended: no metrics given; pass the tables of image metrics of both runs")
    metrics = template_rows(gallery.metrics)
    metrics = metrics[(metrics["image_index"] == 0) & metrics["overall"].notna()]
    first, second = (metrics[metrics["run"] == run].set_index(PAIR)["overall"] for run in runs)
    both = pd.concat({"first": first, "second": second}, axis=1, join="inner").reset_index()
    found = both[(both["first"] == 0) & (both["second"] == 1)].sort_values(PAIR).drop_duplicates("subject_id")
    chosen = found.iloc[sorted(select_prompts(len(found), rows))]
    values = metrics.set_index(["run", *PAIR])
    cells = []
    for row in chosen.itertuples():
        pair = (row.subject_id, row.prompt_id)
        drawn = [gallery.sample(run, *pair, _scores(values.loc[(run, *pair, 0)])) for run in runs]
        cells.append(gallery.demos(row.subject_id, demonstrations) + drawn)
    names = [run_name(run) for run in runs]
    headers = ["demonstrations", *[""] * (demonstrations - 1), *names]
    counts = [int(((both["first"] == a) & (both["second"] == 1 - a)).sum()) for a in (0, 1)]
    note = f"{counts[0]} of {len(both)} prompts; at {counts[1]} it is the other way round."
    labels = [gallery.prompt(row.subject_id, row.prompt_id) for row in chosen.itertuples()]
    title = f"Where {names[0]} fails and {names[1]} does not"
    return Sheet(title, cells, headers if cells else (), labels, note, frozenset({demonstrations}))


def experts(
    scored: pd.DataFrame,
    threshold: float | None,
    samples: Mapping[str, np.ndarray],
    demonstrations: pd.DataFrame,
    shown: Mapping[str, np.ndarray],
    score: str = "delta_clip",
    limits: Mapping[str, float] | None = None,
    rows: int = 2,
    pairs: int = 3,
) -> Sheet:
    """Experts' samples by skill: pairs of one that lambda keeps and one that it rejects, for the same kind of prompt.

    A pair is of one subject where one has both; else of two. Pairs are spread evenly over subjects, and within one the
    first by name is taken: none is chosen by score.

    Args:
        scored: tables 'samples' and 'scores' side by side, with the prompt's ``skill``; with subject and text, the
            judge's scores, where there are ``limits``.
        threshold: of the default lambda; None keeps all.
        samples: pictures by sample_id.
        demonstrations: table of the experts' inputs; shown: its pictures by image_id.
        score: name of the score.
        limits: the judge's, by score.
        rows, pairs: of each skill.
    """
    marked = scored.assign(kept=scored["score"] > (-np.inf if threshold is None else threshold))
    if limits:
        passed = (marked["subject"] >= limits["subject"]) & (marked["text"] >= limits["text"])
        marked = marked.assign(passed=passed.where(marked["subject"].notna()))
    first = demonstrations.drop_duplicates("subject_id").set_index("subject_id")["image_id"]

    def cell(row: pd.Series, other: bool) -> Cell:
        lines = [row["prompt"], f"{short_score_name(score)} {row['score']:+.3f}"]
        if limits and pd.notna(row["passed"]):
            wrong = [name for name in ("subject", "text") if row[name] < limits[name]]
            lines.append(f"fails: {', '.join(wrong)}" if wrong else "passes")
        lines += ["(another subject)"] if other else []
        source = {"run": "expert"} | {name: row[name] for name in ("sample_id", "subject_id", "prompt_id", "prompt")}
        return Cell(samples[row["sample_id"]], "\n".join(lines), GREEN if row["kept"] else VERMILION, source)

    sheet_rows, labels = [], []
    for skill in sorted(set(marked["skill"]), key=[*SKILL_NAMES, *sorted(set(marked["skill"]))].index):
        mine = marked[marked["skill"] == skill]
        cells = []
        for kept, rejected in _pairs(mine, rows * pairs):
            found = [row for row in (kept, rejected) if row is not None]
            subject, other = found[0]["subject_id"], found[0]["subject_id"] != found[-1]["subject_id"]
            source = {"run": "demonstration", "sample_id": first[subject], "subject_id": subject}
            cells.append(Cell(shown[first[subject]], source=source))
            cells += [Cell() if row is None else cell(row, other and row is rejected) for row in (kept, rejected)]
        label = f"{SKILL_NAMES.get(skill, skill.capitalize())}\nkept {_percent(mine['kept'].mean())}"
        if limits:
            shares = [mine.loc[mine["kept"] == side, "passed"].dropna().astype(float).mean() for side in (True, False)]
            label += "".join(
                f"\n{_percent(share)} of {name} pass"
                for share, name in zip(shares, ("kept", "rejected"), strict=True)
                if pd.notna(share)
            )
        for start in range(0, len(cells), 3 * pairs):
            row = cells[start : start + 3 * pairs]
            sheet_rows.append(row + [Cell()] * (3 * pairs - len(row)))
            labels.append(label)
    name = "none" if threshold is None else f"{threshold:.3f}"
    note = f"lambda = {name}. Pairs of the same kind of prompt, spread evenly over subjects, not chosen by score."
    note += " Passes: subject and text reach the judge's limits." if limits else ""
    title = f"What the experts drew, and what {score_name(score)} kept of it"
    headers = ["demonstration", "kept", "rejected"] * pairs
    return Sheet(title, sheet_rows, headers, labels, note, frozenset(range(3, 3 * pairs, 3)))


def _pairs(marked: pd.DataFrame, count: int) -> list[tuple[pd.Series | None, pd.Series | None]]:
    """Up to ``count`` pairs of a kept and a rejected sample, of one subject each while there are such."""
    order = marked.sort_values("sample_id")
    sides = [
        order[order["kept"] == side].drop_duplicates("subject_id").set_index("subject_id", drop=False)
        for side in (True, False)
    ]
    both = [subject for subject in sides[0].index if subject in sides[1].index]
    chosen = [both[i] for i in sorted(select_prompts(len(both), count))]
    found: list[tuple[pd.Series | None, pd.Series | None]] = [(sides[0].loc[s], sides[1].loc[s]) for s in chosen]
    kept, rejected = ([row for s, row in side.iterrows() if s not in both] for side in sides)
    for i in range(min(count - len(found), max(len(kept), len(rejected)))):
        found.append((kept[i] if i < len(kept) else None, rejected[i] if i < len(rejected) else None))
    return found
