"""Paths on a command line: many files of one series as a short word that bash spells out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from shlex import quote


def braces(paths: Iterable[str | Path]) -> str:
    """Paths for a shell command as one word for bash to expand, ``scores-{0..99}-{0..4}.parquet``.

    A command may hold 128 kB, but bash may pass 2 MB of arguments on. Paths that are no such series are spelt out.
    """
    names = [str(path) for path in paths]
    if len(names) > 1:
        first, last = (re.split(r"(\d+)", name) for name in (names[0], names[-1]))
        if len(first) == len(last) and first[::2] == last[::2]:
            series: list[Iterable[str | int]] = [
                [low] if low == high else range(int(low), int(high) + 1) for low, high in zip(first, last, strict=True)
            ]
            if names == ["".join(map(str, parts)) for parts in product(*series)]:
                return "".join(
                    quote(low) if low == high else f"{{{low}..{high}}}"
                    for low, high in zip(first, last, strict=True)
                    if low
                )
    return " ".join(quote(name) for name in names)
