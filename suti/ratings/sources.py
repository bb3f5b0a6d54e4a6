"""What a study can be made of: runs of the workflow, or plain folders of pictures, in one form."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from suti.evaluation.bootstrap import PAIR, common_pairs, template_rows
from suti.io import tables
from suti.io.images import SUFFIXES, BadImage, read_image
from suti.io.shard_index import LazyPictures, PicturesBySubject

METHOD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,59}")
LONGEST_PROMPT = 1000
Pictures = list[np.ndarray]


@dataclass(frozen=True, order=True)
class Case:
    """One picture to be judged, of every method: subject, prompt and number of the picture for this prompt."""

    subject_id: str
    prompt_id: str
    index: int
    prompt: str


@dataclass(frozen=True)
class Material:
    """Pictures of several methods for the same cases. Pictures are uint8 (H, W, 3).

    Attributes:
        methods: method -> its picture of a case.
        cases: sorted; every method has all of them.
        classes: subject_id -> class word.
        shown: subject_id -> pictures that the page shows beside a candidate.
        real: subject_id -> real pictures for attention checks, not among the shown ones if there are others.
    """

    methods: Mapping[str, Callable[[Case], np.ndarray]]
    cases: Sequence[Case]
    classes: Mapping[str, str]
    shown: Callable[[str], Pictures]
    real: Callable[[str], Pictures]


def check_methods(names: Sequence[str]) -> None:
    """ValueError unless there are distinct plain names."""
    for name in names:
        if not METHOD.fullmatch(name):
            raise ValueError(f"method {name!r}: expected letters, digits and . _ + -, at most 60; rename it")
    double = sorted({name for name in names if list(names).count(name) > 1})
    if double:
        raise ValueError(f"method {double[0]!r} is given twice; name every method once")


def from_results(results: Path, runs: Sequence[str], references: int) -> Material:
    """Runs of the workflow, on the prompts that all of them drew, without prompts that are only shown on sheets.

    The page shows the subject's demonstrations; attention checks take its real pictures that no system saw. For
    photos the two are the same.

    Args:
        results: the workflow's folder of results.
        runs: names of runs, as in ``generations/RUN.parquet``.
        references: pictures of a subject that are shown at most.

    Raises:
        FileNotFoundError: a run or the benchmark is not there.
        ValueError: the runs have nothing in common, or disagree with the benchmark.
    """
    check_methods(runs)
    there = sorted(path.stem for path in results.glob("generations/*.parquet"))
    for run in runs:
        if run not in there or not (results / f"generations/{run}.tar").is_file():
            raise FileNotFoundError(
                f"{results}/generations: no {run}.parquet with {run}.tar; there are {', '.join(there) or 'none'}. "
                "Make it with `make run`, or name another results folder"
            )
    place = results / "benchmark"
    subjects = tables.read(place / "subjects.parquet", "benchmark_subjects")
    asked = tables.read(place / "prompts.parquet", "benchmark_prompts")
    prompts = {(row.subject_id, row.prompt_id): row.prompt for row in asked.itertuples()}
    frames = {run: template_rows(tables.read(results / f"generations/{run}.parquet", "generations")) for run in runs}
    shared = common_pairs(frames)[runs[0]]
    unknown = [key for key in zip(shared["subject_id"], shared["prompt_id"], strict=True) if key not in prompts]
    if unknown:
        raise ValueError(f"{place}/prompts.parquet: lacks {unknown[0]}; make the generations of these runs anew")

    def drawn(run: str) -> Callable[[Case], np.ndarray]:
        shard = LazyPictures(results / f"generations/{run}.tar")
        ids = {tuple(row): sample for *row, sample in frames[run][[*PAIR, "sample_id"]].itertuples(index=False)}
        return lambda case: shard[ids[case.subject_id, case.prompt_id, case.index]]

    demonstrations = PicturesBySubject(place / "images.tar")
    unseen = PicturesBySubject(place / "references.tar")
    cases = [Case(s, p, int(i), prompts[s, p]) for s, p, i in shared[PAIR].itertuples(index=False)]
    return Material(
        {run: drawn(run) for run in runs},
        sorted(cases),
        dict(zip(subjects["subject_id"], subjects["class_name"], strict=True)),
        lambda subject: demonstrations[subject][:references],
        lambda subject: _held_out(unseen[subject], demonstrations[subject][:references]),
    )


def _held_out(real: Pictures, shown: Pictures) -> Pictures:
    """The real pictures that are not shown; all of them if there are no others."""
    known = {(picture.shape, picture.tobytes()) for picture in shown}
    return [picture for picture in real if (picture.shape, picture.tobytes()) not in known] or real


def from_folders(methods: Mapping[str, Path], prompts: Path, references: Path, shown: int, max_pixels: int) -> Material:
    """Plain folders: one a method with a picture for every row of the prompts, and one a subject of real pictures.

    Args:
        methods: method -> folder. Its pictures in natural order of their names (2 before 10) belong to the rows of
            the prompts in turn; with a column ``file``, a row's picture is the file of that name in every folder.
        prompts: CSV with columns subject, class, prompt, and perhaps file. A prompt drawn twice is two rows.
        references: holds a folder of pictures for every subject of the CSV.
        shown: pictures of a subject that are shown at most; the last one is kept for attention checks if there
            are two or more.
        max_pixels: largest picture that is decoded.

    Raises:
        FileNotFoundError, ValueError: naming file, line or folder, and what is wanted.
    """
    check_methods(list(methods))
    rows = read_prompts(prompts)
    named = "file" in rows.columns
    files: dict[str, list[Path]] = {}
    for method, folder in methods.items():
        there = {path.name: path for path in _pictures_of(folder)}
        if named:
            missing = next((name for name in rows["file"] if name not in there), None)
            if missing is not None:
                raise FileNotFoundError(f"{folder}: no picture {missing!r}, which {prompts} names in column file")
            files[method] = [there[name] for name in rows["file"]]
        elif len(there) != len(rows):
            raise ValueError(
                f"{folder}: {len(there)} pictures for {len(rows)} rows of {prompts}; give one a row, in the order of "
                "their names, or a column file"
            )
        else:
            files[method] = list(there.values())
    folders = {path.name: path for path in references.iterdir() if path.is_dir()} if references.is_dir() else {}
    for line, subject in enumerate(rows["subject"], start=2):
        if subject not in folders:
            raise FileNotFoundError(
                f"{references}: no folder {subject!r} with pictures of the subject of {prompts}, line {line}"
            )
    real = {name: _pictures_of(folders[name]) for name in rows["subject"].unique()}

    def read(path: Path) -> np.ndarray:
        try:
            return read_image(path, max_pixels=max_pixels)
        except BadImage as error:
            raise ValueError(f"{path}: {error}; replace the picture") from error

    cases = [Case(row.subject, f"{number:05d}", 0, row.prompt) for number, row in enumerate(rows.itertuples())]

    def drawn(method: str) -> Callable[[Case], np.ndarray]:
        return lambda case: read(files[method][int(case.prompt_id)])

    def kept(subject: str) -> int:
        return min(shown, max(1, len(real[subject]) - 1))

    return Material(
        {method: drawn(method) for method in methods},
        sorted(cases),
        dict(zip(rows["subject"], rows["class"], strict=True)),
        lambda subject: [read(path) for path in real[subject][: kept(subject)]],
        lambda subject: [read(path) for path in real[subject][kept(subject) :] or real[subject]],
    )


def read_prompts(path: Path) -> pd.DataFrame:
    """The prompts of a study of folders: text columns subject, class, prompt, and file if the CSV has it.

    Raises:
        ValueError: naming file, line, column and what is wanted.
    """
    wanted = ["subject", "class", "prompt"]
    with path.open(encoding="utf-8-sig", newline="") as stream:
        try:
            reader = csv.DictReader(stream, strict=True)
            columns = reader.fieldnames or []
            if sorted(set(columns) - {"file"}) != sorted(wanted) or len(set(columns)) != len(columns):
                raise ValueError(
                    f"{path}: columns {', '.join(columns) or 'none'}; expected subject,class,prompt[,file]"
                )
            rows = []
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(f"{path}, line {reader.line_num}: expected {len(columns)} values")
                clean = {name: value.strip() for name, value in row.items()}
                empty = next((name for name, value in clean.items() if not value), None)
                if empty or len(clean["prompt"]) > LONGEST_PROMPT:
                    problem = f"no {empty}" if empty else f"a prompt of more than {LONGEST_PROMPT} characters"
                    raise ValueError(f"{path}, line {reader.line_num}: {problem}; write what was drawn")
                rows.append(clean)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    if not rows:
        raise ValueError(f"{path}: no rows; expected one for every picture of a method")
    frame = pd.DataFrame(rows)
    classes = frame.groupby("subject")["class"].nunique()
    if (classes > 1).any():
        raise ValueError(f"{path}: subject {classes.idxmax()!r} has several classes; give it one")
    return frame


def _pictures_of(folder: Path) -> list[Path]:
    """Files of a folder that are named like pictures, in natural order.

    Raises:
        FileNotFoundError: there are none.
    """
    found = folder.iterdir() if folder.is_dir() else iter(())
    pictures = [path for path in found if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    if not pictures:
        raise FileNotFoundError(f"{folder}: no pictures ({', '.join(sorted(SUFFIXES))}); name a folder that holds some")
    return sorted(pictures, key=lambda path: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", path.name)])
