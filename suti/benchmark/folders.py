"""Folders of generated and real pictures, as anybody may have made them.

References: a folder a subject. Generated pictures, in one of these layouts (the number of a prompt counts from
0 in the order of the subject's rows in the CSV):

    GENERATED/SUBJECT/NUMBER/*.png          any file names; the pictures of a prompt are numbered by them
    GENERATED/SUBJECT/NUMBER_K.png          NUMBER-K.png and NUMBER__K.png too
    GENERATED/SUBJECT__NUMBER__K.png        as the workflow names its samples
    any names                               if the CSV has a column 'file' with a row a picture
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from suti.benchmark.dreambench import dataset_folder
from suti.benchmark.lists import Prompt
from suti.benchmark.photos import pictures_in
from suti.io.images import SUFFIXES
from suti.io.shard_index import Member

DEPTH = (
    4  # folders that are searched for generated pictures: one more than the layouts have, to name what lies too deep
)
NAMED = 5  # files or prompts that an error names


@dataclass(frozen=True)
class Picture:
    """A picture to score. A real one has prompt_id 'photo-NN' and no prompt."""

    subject: str
    prompt_id: str
    prompt: str
    image_index: int
    path: Path | Member


def find_references(folder: Path, subjects: Iterable[str] | None = None) -> dict[str, list[Path]]:
    """Pictures of each subject by name, from a folder with a folder a subject.

    A clone of google/dreambooth has them in its folder ``dataset``, so the clone itself will do.

    Args:
        subjects: those that must be there; others are left out. None takes all.

    Raises:
        FileNotFoundError: no such folder, or a subject has no pictures in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"--references: no folder {folder}; it holds a folder of pictures a subject")
    folder = dataset_folder(folder)
    if subjects is None:
        subjects = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        found = {subject: pictures_in(folder / subject) for subject in subjects}
        found = {subject: files for subject, files in found.items() if files}
        if not found:
            raise FileNotFoundError(f"--references: {folder} has no folders of pictures, e.g. {folder}/backpack/00.jpg")
        return found
    names = list(dict.fromkeys(subjects))
    found = {subject: pictures_in(folder / subject) for subject in names}
    lacking = [subject for subject, files in found.items() if not files]
    if lacking:
        raise FileNotFoundError(
            f"--references: {len(lacking)} of {len(names)} subjects have no pictures in {folder}: "
            f"{', '.join(lacking[:NAMED])}; expected {folder / lacking[0]}/*.jpg"
        )
    return found


def find_generated(
    folder: Path, prompts: list[Prompt], images: int | None = None, partial: bool = False
) -> list[Picture]:
    """The generated pictures of some prompts, in the order of the prompts.

    Args:
        images: pictures that every prompt must have; None: as many as the others.
        partial: take what is there; else a prompt without pictures, or with fewer than others, is an error, and so
            is a picture of no prompt.

    Raises:
        FileNotFoundError: no such folder, or pictures are missing.
        ValueError: files that belong to no prompt, or prompts with different numbers of pictures.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"--generated: no folder {folder}")
    if any(prompt.file for prompt in prompts):
        return _named_files(folder, prompts, partial)
    by_prompt = {(prompt.subject, prompt.number): prompt for prompt in prompts}
    found: dict[tuple[str, int], list[Path]] = {key: [] for key in by_prompt}
    stray: list[Path] = []
    for path, key in _placed(folder, sorted({prompt.subject for prompt in prompts}, key=len, reverse=True)):
        found[key].append(path) if key in found else stray.append(path)
    if stray and not partial:
        raise ValueError(
            f"{folder}: {len(stray)} pictures belong to no prompt of the CSV: {_few(stray, folder)}; expected "
            f"SUBJECT/NUMBER/*.png, SUBJECT/NUMBER_K.png or SUBJECT__NUMBER__K.png, with numbers from 0 in the order "
            "of the subject's prompts. --partial leaves them out"
        )
    _complete(folder, found, by_prompt, images, partial)
    return [
        Picture(prompt.subject, f"{prompt.number:02d}", prompt.text, index, path)
        for key, prompt in by_prompt.items()
        for index, path in enumerate(sorted(found[key]))
    ]


def _placed(folder: Path, subjects: list[str]) -> Iterable[tuple[Path, tuple[str, int] | None]]:
    """Every picture below a folder, with its subject and prompt number where its place says so."""
    for path in _below(folder, DEPTH):
        inside = path.relative_to(folder)
        key = None
        if len(inside.parts) == 3 and re.fullmatch(r"\d{1,6}", inside.parts[1]):
            key = (inside.parts[0], int(inside.parts[1]))
        elif len(inside.parts) == 2 and (match := re.fullmatch(r"(\d{1,6})[-_]{1,2}\d+", path.stem)):
            key = (inside.parts[0], int(match[1]))
        elif len(inside.parts) == 1:
            subject = next((name for name in subjects if path.stem.startswith(f"{name}__")), None)
            match = re.fullmatch(r"(\d{1,6})__\d+", path.stem[len(subject) + 2 :]) if subject else None
            key = (subject, int(match[1])) if subject and match else None
        yield path, key


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """Files that are named as pictures, links to folders followed; so deep and no deeper, as a link may be a loop."""
    for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
        if path.is_dir():
            yield from _below(path, depth - 1) if depth > 1 else ()
        elif path.suffix.lower() in SUFFIXES:
            yield path


def _complete(
    folder: Path,
    found: Mapping[tuple[str, int], list[Path]],
    by_prompt: Mapping[tuple[str, int], Prompt],
    images: int | None,
    partial: bool,
) -> None:
    counts = {key: len(paths) for key, paths in found.items()}
    if not any(counts.values()):
        raise FileNotFoundError(
            f"{folder}: no picture of any prompt; expected e.g. "
            f"{folder}/{next(iter(by_prompt.values())).subject}/0/0.png for the first prompt of that subject"
        )
    expected = images if images is not None else max(counts.values())
    wrong = [key for key, count in counts.items() if count != expected]
    if wrong and not partial:
        few = "; ".join(
            f"{subject}/{number} ({by_prompt[subject, number].text[:40]!r}) has {counts[subject, number]}"
            for subject, number in wrong[:NAMED]
        )
        raise FileNotFoundError(
            f"{folder}: {len(wrong)} of {len(counts)} prompts do not have {expected} pictures: {few}. Draw what is "
            "missing, say how many with --images, or score what is there with --partial"
        )


def _named_files(folder: Path, prompts: list[Prompt], partial: bool) -> list[Picture]:
    lacking = [prompt.file for prompt in prompts if not (folder / prompt.file).is_file()]
    if lacking and (not partial or len(lacking) == len(prompts)):
        raise FileNotFoundError(
            f"{folder}: {len(lacking)} files of the CSV are not there: {', '.join(lacking[:NAMED])}"
        )
    counts: dict[tuple[str, int], int] = {}
    pictures = []
    for prompt in prompts:
        if (folder / prompt.file).is_file():
            index = counts.get((prompt.subject, prompt.number), 0)
            counts[prompt.subject, prompt.number] = index + 1
            path = folder / prompt.file
            pictures.append(Picture(prompt.subject, f"{prompt.number:02d}", prompt.text, index, path))
    return pictures


def _few(paths: list[Path], folder: Path) -> str:
    return ", ".join(str(path.relative_to(folder)) for path in paths[:NAMED])
