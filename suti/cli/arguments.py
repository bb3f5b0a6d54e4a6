"""What the scripts share: their argument parser."""

from __future__ import annotations

import argparse

from suti.config.settings import Settings, read_settings


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Argument parser with ``--settings``; the script's docstring is the help."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--settings", type=read_settings, default=Settings({}), metavar="JSON",
                        help='JSON of dotted names, e.g. \'{"seed": 0, "compute": {"threads": 2}}\'')  # fmt: skip
    return result
