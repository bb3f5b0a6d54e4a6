"""Ratings as a table: from a study's database or from a CSV file of anybody's, checked cell by cell.

Columns are rater, item, then method (or method_a and method_b), one column of scores a question (float, nan where it
is missing), subject_id and prompt ('' if unknown), and for attention checks their kind (``check``, else '') and
whether they were passed (``passed``, nan if they were not answered). Comparisons also have ``swapped``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from suti.io.atomic import write_text
from suti.ratings.schemes import OTHER, REAL, Scheme
from suti.ratings.store import Store
from suti.ratings.study import DATABASE, RATED, load, load_key

TEXTS, MARKS = ("subject_id", "prompt", "check"), ("passed", "swapped")
MISSING = ("", "na", "nan")


@dataclass(frozen=True)
class Ratings:
    """Ratings of one scheme; ``where`` names their origin in messages."""

    scheme: Scheme
    frame: pd.DataFrame
    where: str


def method_columns(scheme: Scheme) -> tuple[str, ...]:
    """The columns that name the methods of a row."""
    return ("method",) if scheme.candidates == 1 else ("method_a", "method_b")


def from_study(folder: Path) -> Ratings:
    """The answers of a prepared study that hold, undone ones left out.

    Raises:
        ValueError: no study, no answers, or files that do not belong together.
    """
    study = load(folder)
    key = load_key(study)
    if not (folder / DATABASE).is_file():
        raise ValueError(f"{folder}: no {DATABASE}, so nobody has rated yet; `suti ratings serve {folder}` lets people")
    store = Store(folder / DATABASE, study.id)
    try:
        rows: dict[tuple[str, str], dict] = {}
        for answer in store.all():
            secret, item = key[answer.item], study.items[answer.item]
            row = rows.setdefault(
                (answer.rater, answer.item),
                {
                    "rater": answer.rater,
                    "item": answer.item,
                    **dict(zip(method_columns(study.scheme), secret.methods or ("", ""), strict=False)),
                    **dict.fromkeys(study.scheme.names, np.nan),
                    "subject_id": secret.subject_id,
                    "prompt": item.prompt,
                    "check": "" if secret.kind == RATED else secret.kind,
                    "passed": np.nan,
                    "swapped": float(answer.swapped),
                },
            )
            row[answer.question] = study.scheme.question(answer.question).score(answer.value)
            accepted = study.scheme.expected.get(secret.kind, {}).get(answer.question)
            if accepted is not None:
                passed = float(answer.value in accepted)
                row["passed"] = passed if np.isnan(row["passed"]) else min(passed, row["passed"])
    finally:
        store.close()
    return _ratings(study.scheme, list(rows.values()), str(folder))


def read_csv(path: Path, scheme: Scheme) -> Ratings:
    """Ratings of a CSV file (UTF-8, with a header; an empty cell, NA or NaN is a missing rating).

    Raises:
        ValueError: unknown, missing or repeated columns, a value that the scheme does not have, or a second row of
            one rater for one item and method. The message names file, line, column, value and remedy.
    """
    needed = ("rater", "item", *method_columns(scheme), *scheme.names)
    known = (*needed, *TEXTS, *MARKS)
    form = f"scheme {scheme.name} wants {','.join(needed)}, and may have {', '.join((*TEXTS, *MARKS))}"
    rows: list[dict[str, Any]] = []
    seen: dict[tuple[str, ...], int] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            columns = [name.strip() for name in next(reader, [])]
            for name in columns:
                if name not in known:
                    raise ValueError(f"{path}, line 1: unknown column {name!r}; {form}. Rename or remove it")
                if columns.count(name) > 1:
                    raise ValueError(f"{path}, line 1: column {name!r} is there twice; remove one")
            for name in needed:
                if name not in columns:
                    raise ValueError(f"{path}, line 1: no column {name!r}; {form}. Add it")
            for cells in reader:
                where = f"{path}, line {reader.line_num}"
                if not cells:
                    continue
                if len(cells) != len(columns):
                    raise ValueError(
                        f"{where}: {len(cells)} values for {len(columns)} columns; quote texts with commas"
                    )
                row = _row(dict(zip(columns, (cell.strip() for cell in cells), strict=True)), scheme, where)
                key = tuple(row[name] for name in ("rater", "item", *method_columns(scheme)))
                if row["check"] == "" and key in seen:
                    raise ValueError(
                        f"{where}: a second rating of rater {key[0]!r} for item {key[1]!r} of {' and '.join(key[2:])}; "
                        f"the first is on line {seen[key]}. Keep one of them"
                    )
                seen[key] = reader.line_num
                rows.append(row)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 ({error}); save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise ValueError(f"{path}: not readable as CSV ({error}); save it with commas and double quotes") from error
    return _ratings(scheme, rows, str(path))


def write_csv(path: Path, ratings: Ratings) -> None:
    """Write ratings so that ``read_csv`` reads the same. Atomic.

    Prompts that a spreadsheet would take for a formula get a leading apostrophe.
    """
    scheme, frame = ratings.scheme, ratings.frame
    columns = ["rater", "item", *method_columns(scheme), *scheme.names, *TEXTS, *MARKS]
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(columns)
    values = {name: {c.score: c.value for c in scheme.question(name).choices} for name in scheme.names}
    for row in frame.to_dict("records"):
        for name in scheme.names:
            row[name] = values[name].get(row[name], "")
        for name in MARKS:
            row[name] = "" if np.isnan(row[name]) else int(row[name])
        if row["prompt"].startswith(("=", "+", "-", "@")):
            row["prompt"] = "'" + row["prompt"]
        writer.writerow([row[name] for name in columns])
    write_text(path, lines.getvalue())


def _row(cells: dict[str, str], scheme: Scheme, where: str) -> dict:
    check = cells.get("check", "")
    if check not in ("", REAL, OTHER):
        raise ValueError(f"{where}: check {check!r}, expected {REAL!r}, {OTHER!r} or nothing")
    row: dict = {"subject_id": "", "prompt": "", "check": "", "passed": np.nan, "swapped": np.nan, **cells}
    for name in ("rater", "item"):
        if not cells[name]:
            raise ValueError(f"{where}: no {name}; every rating needs one")
    methods = [cells[name] for name in method_columns(scheme)]
    for name, value in zip(method_columns(scheme), methods, strict=True):
        if not check and not (value[:1].isalnum() and value.isprintable()):
            raise ValueError(f"{where}: {name} {value!r}, expected a name that starts with a letter or a digit")
    if len(methods) == 2 and not check and methods[0] == methods[1]:
        raise ValueError(f"{where}: method {methods[0]!r} against itself; compare two methods")
    for name in scheme.names:
        choices = scheme.question(name).choices
        row[name] = _score(cells[name], {c.value: c.score for c in choices}, f"{where}: {name}")
    for name in MARKS:
        if name in cells:
            row[name] = _score(cells[name], {"0": 0.0, "1": 1.0}, f"{where}: {name}")
    return row


def _score(cell: str, scores: dict[str, float], where: str) -> float:
    """Number of a cell: nan if it is missing, else that of the answer; '1.0' is '1'."""
    if cell.lower() in MISSING:
        return np.nan
    if cell in scores:
        return scores[cell]
    try:
        number = float(cell)
    except ValueError:
        number = np.nan
    for value, score in scores.items():
        if value[0].isdigit() and number == float(value):
            return score
    raise ValueError(f"{where} {cell!r}, expected {', '.join(scores)} or nothing; correct the value")


def _ratings(scheme: Scheme, rows: Iterable[dict], where: str) -> Ratings:
    frame = pd.DataFrame(rows)
    if frame.empty or not (frame["check"] == "").any():
        raise ValueError(f"{where}: no ratings; let people rate first")
    return Ratings(scheme, frame.reset_index(drop=True), where)
