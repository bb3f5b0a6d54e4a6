"""``suti compare``: which numbers and claims of two results folders agree within their spread."""

from __future__ import annotations

import argparse
from pathlib import Path

from suti.cli.measuring import print_table, warn
from suti.evaluation.compare import (
    REMEDY,
    Figure,
    Results,
    Row,
    changed_claims,
    compare,
    counts,
    protocol_differences,
    read_results,
    to_csv,
)
from suti.io.atomic import write_text

DESCRIPTION = """
Compare the numbers of two runs of the workflow, say your own and one of docs/results, or before and after a change.

A and B are folders with metrics/*.json, and claims.json if there are claims. A number is a metric's mean over subjects
with its 95 % interval. The verdict on a number is

  equal         mean and interval are the same to the last bit
  agrees        |B - A| is at most the spread sqrt(hA^2 + hB^2), h being half of the interval's width
  differs       it is more
  only in A     B has not measured it, or has no such run
  only in B     the other way round

Where chance alone moves the numbers, about one in twenty differs by this rule, and fewer on the same subjects.
"""

EPILOG = """
examples:
  suti compare docs/results/tiny results
  suti compare before/results results --metrics subject text dino --csv changes.csv
  suti compare before/results results --strict        exit 1 if a number differs or a claim flips
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "compare",
        help="say which numbers and claims of two results folders agree",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("a", type=Path, metavar="A", help="a results folder, or a folder of docs/results")
    add("b", type=Path, metavar="B", help="another one")
    add("--metrics", nargs="+", default=[], metavar="NAME", help="metrics to compare, e.g. subject dino (default: all)")
    add("--csv", type=Path, metavar="FILE", help="also write the numbers, in full precision")
    add("--strict", action="store_true", help="exit 1 if a number differs, a claim flips, or nothing is in both")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; returns the exit status."""
    a, b = read_results(options.a), read_results(options.b)
    rows = compare(a, b, options.metrics)
    if options.csv:
        write_text(options.csv, to_csv(rows))
    head = ["run", "metric", "A", "B", "B - A", "spread", "verdict"]
    print_table(head, [_cells(row) for row in rows])
    for fields, runs in protocol_differences(a, b).items():
        whose = "every run" if set(runs) == set(a.protocols) & set(b.protocols) else ", ".join(runs)
        warn(f"A and B are measured differently: {', '.join(fields)} (see `protocol` in metrics/*.json) of {whose}")
    flips = _print_claims(a, b)
    found = counts(rows)
    numbers = ", ".join(f"{count} {verdict}" for verdict, count in found.items())
    print(f"\n{len(rows)} numbers: {numbers}; {flips} {'claim flips' if flips == 1 else 'claims flip'}")
    shared = len(rows) - found["only in A"] - found["only in B"]
    if not shared:
        warn(f"no number is in both {a.folder} and {b.folder}; {REMEDY}")
    return 1 if options.strict and (found["differs"] or flips or not shared) else 0


def _cells(row: Row) -> list[str]:
    parted = row.difference is None or row.spread is None
    gap = ["", ""] if parted else [f"{row.difference:+.3f}", f"{row.spread:.3f}"]
    return [row.run, row.metric, _figure(row.a), _figure(row.b), *gap, row.verdict]


def _figure(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.mean:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def _print_claims(a: Results, b: Results) -> int:
    """Print what became of the claims; returns how many flip."""
    from suti.figures.claims import VERDICT  # imports matplotlib, which help and errors do without

    if lacking := [str(results.folder) for results in (a, b) if results.claims is None]:
        print(f"\nclaims are not compared: no claims.json in {', '.join(lacking)}")
        return 0
    changes = changed_claims(a, b)
    if not changes:
        print("\nno claim is decided otherwise")
        return 0
    print()
    words = [
        [c.number, c.name, VERDICT[c.a], VERDICT[c.b], c.change + ("" if c.same_rule else ", by another rule")]
        for c in changes
    ]
    print_table(["", "claim", "A", "B", "verdict"], words)
    return sum(change.change == "flips" for change in changes)
