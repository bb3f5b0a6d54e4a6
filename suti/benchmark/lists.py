"""Lists of prompts to draw: rows of subject, class and prompt, and the CSV that holds them.

``suti prompts`` writes such lists for any system, ``suti evaluate`` reads them, and so does the workflow for a
benchmark whose prompts are a CSV.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from suti.io.atomic import atomic_path

COLUMNS = ("subject", "class", "prompt")
MAX_BYTES = 50_000_000
MAX_TEXT = 2_000

Row = dict[str, str]
"""A row of a list: subject, class and prompt."""


@dataclass(frozen=True)
class Prompt:
    """A row of a prompts CSV. ``number`` counts the subject's prompts from 0; ``file`` is given or ''."""

    subject: str
    class_name: str
    text: str
    number: int
    file: str = ""


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


def as_prompts(rows: Iterable[Row]) -> list[Prompt]:
    """Rows as ``read_prompts`` would give them back from a CSV."""
    numbers: dict[str, int] = {}
    prompts = []
    for row in rows:
        number = numbers.get(row["subject"], 0)
        numbers[row["subject"]] = number + 1
        prompts.append(Prompt(row["subject"], row["class"], row["prompt"], number))
    return prompts
