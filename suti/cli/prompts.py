"""``suti prompts``: the prompts of a benchmark as a CSV, for any system to draw and `suti evaluate` to score."""

from __future__ import annotations

import argparse
from pathlib import Path

from suti.benchmark.folders import write_prompts
from suti.cli.config import read

DESCRIPTION = """
Write the (subject, prompt) pairs of a benchmark as CSV with the columns subject, class, prompt. A prompt names the
class and no identifier: "a backpack in the jungle". Draw some pictures for each row (DreamBench: 4) and score them
with `suti evaluate`.

  benchmark       --path holds
  dreambench      a clone of google/dreambooth, or its `dataset` folder: subjects, classes and 25 + 25 templates are
                  read from prompts_and_classes.txt; 30 subjects x 25 templates are 750 pairs
  dreambench-v2   a CSV with columns subject and prompt
  world           nothing: unseen subjects of the rendered world, as the workflow judges them
  folders         a folder a subject, named after it (grey_cat2); DreamBench's templates
  csv             a CSV of your own with columns subject and prompt, and perhaps class
"""

EPILOG = """
examples:
  suti prompts --benchmark dreambench --path dreambooth/dataset --out prompts.csv
  suti prompts --benchmark dreambench-v2 --path v2.csv --out prompts.csv

  the world's, with pictures of its subjects to show to a system (world/demonstrations) and to judge it by
  (world/references):
    suti prompts --benchmark world --out prompts.csv --pictures world
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "prompts",
        help="write the prompts of a benchmark as CSV",
        description=DESCRIPTION,
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
    from suti.benchmark.lists import prompt_list, world_pictures

    if options.subjects is not None and options.subjects < 1:
        raise ValueError(f"--subjects: {options.subjects}, expected 1 or more")
    if options.pictures and options.benchmark != "world":
        raise ValueError(f"--pictures: {options.benchmark} has its own pictures; only the world's are made")
    seed = read(options.configfile).seed if options.seed is None else options.seed
    rows = prompt_list(options.benchmark, options.path and options.path.expanduser(), seed, options.subjects)
    if options.pictures:
        print(f"{world_pictures(options.pictures, seed, options.subjects)} pictures; {options.pictures}")
    count = write_prompts(options.out, rows)
    print(f"{count} prompts of {len({row['subject'] for row in rows})} subjects; {options.out}")
    return 0
