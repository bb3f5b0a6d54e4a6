"""What the scripts share: their argument parser, and lists of shards on a command line."""

from __future__ import annotations

import argparse

from suti.config.settings import Settings, read_settings


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Argument parser with ``--settings``; the script's docstring is the help."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--settings", type=read_settings, default=Settings({}), metavar="JSON",
                        help='JSON of dotted names, e.g. \'{"seed": 0, "compute": {"threads": 2}}\'')  # fmt: skip
    return result


def shard_paths(paths: list[str], shards: int | None) -> list[str]:
    """Paths of a list argument; with ``shards``, each is a pattern whose ``{shard}`` counts from 0.

    Thousands of names do not fit a command line, so a rule passes the pattern of their names instead.
    """
    if shards is None:
        return paths
    return [path.replace("{shard}", str(shard)) for path in paths for shard in range(shards)]
