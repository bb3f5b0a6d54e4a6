"""What the scripts share: their argument parser."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from suti.config.settings import Settings, read_settings


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Argument parser with ``--settings``; the script's docstring is the help."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--settings", type=read_settings, default=Settings({}), metavar="JSON",
                        help='JSON of dotted names, e.g. \'{"seed": 0, "compute": {"threads": 2}}\'')  # fmt: skip
    return result


def run(main: Callable[[], None], *expected: type[Exception]) -> None:
    """Run a script; an error of an ``expected`` kind, whose message holds the remedy, ends it in one line."""
    try:
        main()
    except expected as error:
        raise SystemExit(f"error: {error}") from None


def drawing_parser(doc: str | None) -> argparse.ArgumentParser:
    """Parser with the benchmark's files, the outputs and the number of prompts."""
    arguments = parser(doc)
    for name in ("subjects", "prompts", "demonstrations"):
        arguments.add_argument(f"--{name}", required=True, metavar="FILE", help=f"benchmark table of {name}")
    arguments.add_argument("--images", required=True, metavar="FILE", help="shard of the demonstrations' pictures")
    arguments.add_argument(
        "--templates", required=True, type=int, metavar="N", help="prompts a subject of the templates"
    )
    arguments.add_argument(
        "--compositional", required=True, type=int, metavar="N", help="and of the compositional list"
    )
    arguments.add_argument("--first", type=int, metavar="N", help="draw the first N subjects only (default: all)")
    arguments.add_argument("--cache", required=True, type=Path, metavar="FOLDER", help="finished subjects")
    arguments.add_argument("--generations", required=True, metavar="FILE", help="table to write")
    arguments.add_argument("--images-out", required=True, metavar="FILE", help="shard of pictures to write")
    arguments.add_argument("--timing", required=True, metavar="FILE", help="seconds, JSON to write")
    return arguments
