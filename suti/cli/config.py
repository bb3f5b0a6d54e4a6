"""``suti config``: show the merged configuration, write the files that are made of its models, check them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from suti.cli import code
from suti.config import document
from suti.config.load import ConfigError, load_config, lookup
from suti.config.schema import Config

DESCRIPTION = """
Show, check or document the configuration.

Settings are merged as Snakemake merges them: config.yaml of the current folder first (if there is one), then
the files of --configfile in order. Mistakes are reported all at once, each with file, line, value and remedy.
"""

EPILOG = """
examples:
  suti config --show                                    everything, merged, as YAML
  suti config --show experts.steps                      one value
  suti config --show --configfile configs/mini.yaml     with an overlay
  suti config --show filtering.grid --configfile configs/sd15.yaml my.yaml
  suti config --write           write config.yaml, resources/config.schema.json, docs/configuration.md, docs/code.md
  suti config --check           exit 1 if one of these differs from what it is made of
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "config",
        help="show, check or document the configuration",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument(
        "--show", nargs="?", const="", metavar="KEY", help="print the merged settings, or one dotted key"
    )
    action.add_argument("--write", action="store_true", help="write the generated files")
    action.add_argument("--check", action="store_true", help="fail if a generated file differs")
    parser.add_argument(
        "--configfile",
        nargs="+",
        default=[],
        metavar="FILE",
        help="YAML files, merged in order (as for snakemake)",
    )
    parser.add_argument("--root", type=Path, default=Path(), help="the project's root, for --write and --check")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; returns the exit status."""
    if options.write or options.check:
        return _generated(options.root, write=options.write)
    files, key = list(options.configfile), options.show
    if not key and files and "." in files[-1] and not files[-1].endswith((".yaml", ".yml", ".json")):
        key = files.pop()  # `--show --configfile a.yaml experts.steps`
    config = read(files)
    print(document.yaml_text(lookup(config, key) if key else config.model_dump(mode="json")))
    return 0


def read(files: list[str]) -> Config:
    """The configuration as the workflow sees it: the folder's config.yaml, then ``files`` in order."""
    first = document.CONFIG
    if first.is_file() and all(Path(file).resolve() != first.resolve() for file in files):
        files = [str(first), *files]
    return load_config(files)


def _generated(root: Path, write: bool) -> int:
    if not (root / "pyproject.toml").is_file():
        raise ConfigError([f"{root.resolve()}: no pyproject.toml; run in the project's root, or name it with --root"])
    texts = document.documents() | {code.PAGE: code.page(root)}
    files = document.write(root, texts) if write else document.drifted(root, texts)
    if write:
        print("\n".join(f"wrote {path}" for path in files) or "nothing to write: all files are as the code says")
        return 0
    for path in files:
        print(f"{path}: differs from the code; run `suti config --write`", file=sys.stderr)
    return 1 if files else 0
