"""Folders of generated and real pictures, and the prompts they were drawn for, as anybody may have made them.

References: a folder a subject. Generated pictures, in one of these layouts (the number of a prompt counts from
0 in the order of the subject's rows in the CSV):

    GENERATED/SUBJECT/NUMBER/*.png          any file names; the pictures of a prompt are numbered by them
    GENERATED/SUBJECT/NUMBER_K.png          NUMBER-K.png and NUMBER__K.png too
    GENERATED/SUBJECT__NUMBER__K.png        as the workflow names its samples
    any names                               if the CSV has a column 'file' with a row a picture
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from suti.io.atomic import atomic_path
from suti.io.shard_index import Member

COLUMNS = ("subject", "class", "prompt")
MAX_BYTES = 50_000_000
MAX_TEXT = 2_000
SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"))
DEPTH = (
    4  # folders that are searched for generated pictures: one more than the layouts have, to name what lies too deep
)
NAMED = 5  # files or prompts that an error names


@dataclass(frozen=True)
class Prompt:
    """A row of a prompts CSV. ``number`` counts the subject's prompts from 0; ``file`` is given or ''."""

    subject: str
    class_name: str
    text: str
    number: int
    file: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture to score. A real one has prompt_id 'photo-NN' and no prompt."""

    subject: str
    prompt_id: str
    prompt: str
    image_index: int
    path: Path | Member


def read_prompts(file: Path) -> list[Prompt]:
    """Rows of a CSV with the columns subject and prompt, and perhaps class and file; other columns are ignored.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a row that cannot be used, named by its line.
    """
    if not file.is_file():
        raise FileNotFoundError(f"--prompts: {file} does not exist; `suti prompts` writes one")
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file}: {file.stat().st_size:,} bytes, at most {MAX_BYTES:,}; is it a CSV of prompts?")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader]
        names = [name.strip() for name in reader.fieldnames or []]
    except csv.Error as error:
        raise ValueError(f"{file}, line {reader.line_num}: not CSV ({error})") from error
    lacking = [name for name in ("subject", "prompt") if name not in names]
    if lacking:
        raise ValueError(f"{file}: no column {lacking[0]!r} among {names}; the first line is: {','.join(COLUMNS)}")
    return _numbered(file, rows)


def _numbered(file: Path, rows: Iterable[tuple[int, dict]]) -> list[Prompt]:
    prompts: list[Prompt] = []
    numbers: dict[str, dict[str, int]] = {}
    files: set[str] = set()
    for line, row in rows:
        if None in row:
            raise ValueError(f"{file}, line {line}: more cells than columns; quote a prompt that has a comma")
        cells = {str(name).strip(): (value or "").strip() for name, value in row.items() if isinstance(value, str)}
        subject, own = cells.get("subject", ""), cells.get("file", "")
        text = " ".join(cells.get("prompt", "").split())
        where = f"{file}, line {line}"
        check_name(subject, where)
        if not text or len(text) > MAX_TEXT or not text.isprintable():
            raise ValueError(f"{where}: prompt {text[:60]!r}, expected one line of 1 to {MAX_TEXT:,} characters")
        known = numbers.setdefault(subject, {})
        if "file" in cells:
            check_inside(own, where)
            if own in files:
                raise ValueError(f"{where}: file {own!r} is named twice; a picture has one prompt")
            files.add(own)
        elif text in known:
            raise ValueError(f"{where}: subject {subject!r} has the prompt {text[:60]!r} twice; leave one out")
        known.setdefault(text, len(known))
        prompts.append(Prompt(subject, cells.get("class", ""), text, known[text], own))
    if not prompts:
        raise ValueError(f"{file}: no prompts below the first line")
    return prompts


def check_name(subject: str, where: str) -> None:
    """A subject names a folder: one plain path component.

    Raises:
        ValueError: it could lead elsewhere.
    """
    if not subject or len(subject) > 200 or subject.startswith(".") or re.search(r"[/\\\x00-\x1f]", subject):
        raise ValueError(f"{where}: subject {subject[:60]!r}, expected the name of a folder, without slashes")


def check_inside(path: str, where: str) -> None:
    """A file of a CSV lies below the folder of generated pictures.

    Raises:
        ValueError: it is absolute, or leaves the folder.
    """
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if not parts or parts[0] == "/" or ".." in parts or "\x00" in path or re.match(r"[A-Za-z]:", path):
        raise ValueError(f"{where}: file {path[:80]!r}, expected a path below the folder of generated pictures")


def write_prompts(file: Path, rows: Iterable[Mapping[str, str]]) -> int:
    """Write rows of ``COLUMNS`` as CSV, whole or not at all; returns how many."""
    count = 0
    with atomic_path(file) as part, part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: row[name] for name in COLUMNS})
            count += 1
    return count


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
    if (folder / "dataset").is_dir() and not pictures_in(folder / "dataset"):
        folder = folder / "dataset"
    if subjects is None:
        subjects = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        found = {subject: pictures_in(folder / subject) for subject in subjects}
        found = {subject: files for subject, files in found.items() if files}
        if not found:
            raise FileNotFoundError(f"--references: {folder} has no folders of pictures, e.g. {folder}/backpack/00.jpg")
        return found
    wanted = list(dict.fromkeys(subjects))
    found = {subject: pictures_in(folder / subject) for subject in wanted}
    lacking = [subject for subject, files in found.items() if not files]
    if lacking:
        raise FileNotFoundError(
            f"--references: {len(lacking)} of {len(wanted)} subjects have no pictures in {folder}: "
            f"{', '.join(lacking[:NAMED])}; expected {folder / lacking[0]}/*.jpg"
        )
    return found


def pictures_in(folder: Path) -> list[Path]:
    """Files of a folder that are named as pictures, by name; none if there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


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
    wanted = images if images is not None else max(counts.values())
    wrong = [key for key, count in counts.items() if count != wanted]
    if wrong and not partial:
        few = "; ".join(
            f"{subject}/{number} ({by_prompt[subject, number].text[:40]!r}) has {counts[subject, number]}"
            for subject, number in wrong[:NAMED]
        )
        raise FileNotFoundError(
            f"{folder}: {len(wrong)} of {len(counts)} prompts do not have {wanted} pictures: {few}. Draw what is "
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
