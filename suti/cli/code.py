"""docs/code.md: for each program of scripts/, its rules and the modules whose edit reruns them (suti/digests.py)."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from suti import digests
from suti.baselines.systems import SYSTEMS

PAGE = Path("docs/code.md")
INTRODUCTION = """# Whose edit reruns what

<!-- Written by `suti config --write` from rules/, scripts/ and suti/digests.py. Do not edit. -->

A rule reruns when its program, or a module of `suti` behind it, changes in substance. This page lists these modules
for every program, with the rules that call it. A comment, a docstring, the words of a message and formatting are no
substance. Of `suti/io/tables.py` a program counts the code and the tables that it names. A system of Tables 1 to 3
adds what it alone needs.

An edit of these modules reruns nothing, because they cannot change a result:

"""
# The head of a rule (`rule NAME:` or `use rule BASE as NAME with:`), and how its body names a program.
_HEAD = re.compile(r"^\s*(?:use rule \w+ as|rule) (\w+)", re.MULTILINE)
_PROGRAM = re.compile(r"scripts/(\w+)\.py|\bcall\(\s*\"(\w+)\"")


def page(root: Path) -> str:
    """Text of the page for the checkout at ``root``."""
    inert = [f"- `{name}` {reason}" for name, reason in sorted(digests.INERT.items())]
    sections = [INTRODUCTION + "\n".join(inert)]
    for program, rules in sorted(programs(root).items()):
        lines = [
            f"## {program}",
            f"Rules: {', '.join(rules)}",
            _listing(digests.sources(f"scripts/{program}.py", root), root),
        ]
        if program == "personalize":
            shared = set(digests.sources(f"scripts/{program}.py", root))
            for source in sorted({system.source for system in SYSTEMS.values()}):
                names = ", ".join(system.name for system in SYSTEMS.values() if system.source == source)
                lines += [f"With {names}:", _listing(sorted({*digests.sources(source, root)} - shared), root)]
        sections += lines
    return "\n\n".join(sections) + "\n"


def programs(root: Path) -> dict[str, list[str]]:
    """Rules of each program of scripts/, in the order of the files of rules/.

    A program that no rule names is called by a rule that is made in a loop and has its name.
    """
    found: dict[str, list[str]] = {path.stem: [] for path in (root / "scripts").glob("*.py")}
    for file in sorted((root / "rules").glob("*.smk")):
        parts = _HEAD.split(file.read_text(encoding="utf-8"))[1:]
        for rule, body in zip(parts[::2], parts[1::2], strict=True):
            for program in {a or b for a, b in _PROGRAM.findall(body)}:
                if program in found:
                    found[program].append(rule)
    return {program: rules or [program] for program, rules in found.items()}


def _listing(paths: list[Path], root: Path) -> str:
    """Files as a block, a line a folder."""
    names = [path.relative_to(root.resolve()) for path in paths]
    lines = []
    for folder, files in groupby(
        sorted(names, key=lambda name: (name.parent.as_posix(), name.name)), lambda name: name.parent
    ):
        lines.append(f"    {folder.as_posix() + '/':<26}{' '.join(file.stem for file in files)}")
    return "\n".join(lines)
