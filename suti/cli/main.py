"""Entry point of ``suti``: runs the subcommand, and turns expected failures into one clear message."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import suti
from suti.cli import app, compare, config, evaluate, generate, oracle, prompts, ratings

EPILOG = """
start here:
  make run                                   the whole paper in small: data, models, tables, figures, report
  suti generate --demonstrations my_photos/ --prompt "a red backpack on a beach" --out beach.png
  suti app                                   the same on a page in the browser
  suti prompts --benchmark dreambench --path dreambooth/dataset --out prompts.csv
  suti evaluate --generated out --references dreambooth/dataset --prompts prompts.csv --out metrics.json
  suti compare docs/results/tiny results     which numbers and claims of two runs agree
  suti ratings --help                        let people rate pictures, and count what they say
  suti config --show experts                 what a section of the configuration is set to

`suti COMMAND --help` explains a command, with examples.
"""


def parser() -> argparse.ArgumentParser:
    """The parser of ``suti`` with every subcommand."""
    result = argparse.ArgumentParser(
        prog="suti",
        description=str(suti.__doc__).partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--version", action="version", version=f"suti {suti.__version__}")
    commands = result.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (generate, app, prompts, evaluate, oracle, compare, ratings, config):
        module.add_parser(commands)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``suti`` with the given arguments (default: the process's own); returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except BrokenPipeError:  # `suti config --show | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError) as error:
        # what a user can mend: a message suffices. Anything else is a bug and keeps its traceback.
        print(f"suti: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
