"""``suti prompts``: the prompts of a benchmark as a CSV, for any system to draw and `suti evaluate` to score."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from suti.benchmark.lists import write_prompts
from suti.benchmark.sources import SOURCES, Choice, find_source, prompt_list
from suti.benchmark.world import SUBJECTS, world_pictures
from suti.cli.config import read

DESCRIPTION = """
Write the (subject, prompt) pairs of a benchmark as CSV with the columns subject, class, prompt. A prompt names the
class and no identifier: "a backpack in the jungle". Draw some pictures for each row (DreamBench: 4) and score them
with `suti evaluate`.
"""

EPILOG = """
examples:
  suti prompts --benchmark dreambench --path dreambooth/dataset --out prompts.csv
  suti prompts --benchmark dreambench-v2 --path v2.csv --out prompts.csv

  the world's, with pictures of its subjects to show to a system (world/demonstrations) and to judge it by
  (world/references):
    suti prompts --benchmark world --out prompts.csv --pictures world
"""


def sources_table() -> str:
    """What each benchmark's --path holds, for the help."""
    lines = ["", "  benchmark       --path holds"]
    for name, source in SOURCES.items():
        text = textwrap.wrap(source.holds, 100)
        lines += [f"  {name:<16}{text[0]}", *(" " * 18 + line for line in text[1:])]
    return "\n".join([*lines, ""])


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "prompts",
        help="write the prompts of a benchmark as CSV",
        description=DESCRIPTION + sources_table(),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--benchmark", metavar="NAME", required=True, help="which one, see above")
    add("--path", type=Path, help="where it lies, see above")
    add("--out", type=Path, required=True, metavar="FILE.csv", help="CSV to write")
    add("--subjects", type=int, metavar="N", help="the first N subjects (default: all; world: 30)")
    add("--pictures", type=Path, metavar="DIR", help="also write the world's pictures into this new folder")
    add("--seed", type=int, help="seed of the world's subjects (default: seed)")
    add("--configfile", nargs="+", default=[], metavar="FILE", help="YAML files, merged in order over config.yaml")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; returns the exit status."""
    if options.subjects is not None and options.subjects < 1:
        raise ValueError(f"--subjects: {options.subjects}, expected 1 or more")
    source = find_source(options.benchmark)
    if options.path is None and not source.rendered:
        raise ValueError(f"--path: needed for {options.benchmark}; see suti prompts --help for what it holds")
    if options.pictures and not source.rendered:
        raise ValueError(f"--pictures: {options.benchmark} has its own pictures; only the world's are made")
    seed = read(options.configfile).seed if options.seed is None else options.seed
    place = {} if options.path is None else {"prompts" if source.from_csv else "path": options.path.expanduser()}
    rows = prompt_list(
        options.benchmark, Choice(seed=seed, subjects=options.subjects, option="--path", **place)
    )  # fmt: skip
    if options.pictures:
        print(f"{world_pictures(options.pictures, seed, options.subjects or SUBJECTS)} pictures; {options.pictures}")
    count = write_prompts(options.out, rows)
    print(f"{count} prompts of {len({row['subject'] for row in rows})} subjects; {options.out}")
    return 0
