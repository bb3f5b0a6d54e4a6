"""``suti compare`` from the command line: its table, its closing line, its exit status, its errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suti.cli.main import main
from suti.io.atomic import write_json


def results(
    path: Path, dino: float, holds: bool | None = True, run: str = "base", claims: bool = True, **protocol: Any
) -> str:
    """A folder of one run with one metric, its mean +- .3, and one claim."""
    entry = {"mean": dino, "low": dino - 0.3, "high": dino + 0.3, "n_subjects": 4, "n_images": 8}
    write_json(path / f"metrics/{run}.json", {"run": run, "metrics": {"dino": entry}, "protocol": protocol})
    if claims:
        write_json(path / "claims.json", [{"number": "2", "name": "rises", "holds": holds, "rule": "r"}])
    return str(path)


def test_table_claims_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The spread is sqrt(.3^2 + .3^2) = .424."""
    a, b = results(tmp_path / "a", 0.5), results(tmp_path / "b", 1.0, holds=False)
    assert main(["compare", a, b, "--csv", str(tmp_path / "new/out.csv")]) == 0
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells == [
        ["run", "metric", "A", "B", "B - A", "spread", "verdict"],
        ["base", "dino", "0.500 [0.200, 0.800]", "1.000 [0.700, 1.300]", "+0.500", "0.424", "differs"],
        [],
        ["claim", "A", "B", "verdict"],
        ["2", "rises", "holds", "does not hold", "flips"],
        [],
        ["1 numbers: 0 equal, 0 agrees, 1 differs, 0 only in A, 0 only in B; 1 claim flips"],
    ]
    assert (tmp_path / "new/out.csv").read_text().splitlines()[1].startswith("base,dino,0.5,0.2,0.8,4,1.0,")


@pytest.mark.parametrize(
    ("b", "status"),
    [
        ({"dino": 0.5}, 0),
        ({"dino": 0.9}, 0),
        ({"dino": 1.0}, 1),
        ({"dino": 0.5, "holds": False}, 1),
        ({"dino": 0.5, "holds": None}, 0),
        ({"dino": 0.5, "run": "other"}, 1),
    ],
    ids=["equal", "agrees", "differs", "flips", "undecided", "nothing in both"],
)
def test_strict_fails_where_something_differs_or_flips(tmp_path: Path, b: dict[str, Any], status: int) -> None:
    folders = [results(tmp_path / "a", 0.5), results(tmp_path / "b", **b)]
    assert main(["compare", *folders, "--strict"]) == status
    assert main(["compare", *folders]) == 0


def test_what_cannot_be_compared_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = results(tmp_path / "a", 0.5, subjects=30, probe="p")
    assert main(["compare", a, results(tmp_path / "b", 0.5, claims=False, subjects=4, probe="p")]) == 0
    out, error = capsys.readouterr()
    assert f"claims are not compared: no claims.json in {tmp_path / 'b'}\n" in out
    assert "measured differently: subjects (" in error and error.endswith("of every run\n")
    assert main(["compare", a, results(tmp_path / "c", 0.5, run="other")]) == 0
    assert f"no number is in both {tmp_path / 'a'} and {tmp_path / 'c'}" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "says"), [("missing", "no such folder"), ("foreign", "no metrics/*.json")])
def test_a_missing_or_foreign_folder_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    write_json(tmp_path / "foreign/metrics.json", {})
    other = str(tmp_path / name)
    for folders in ([results(tmp_path / "a", 0.5), other], [other, str(tmp_path / "a")]):
        assert main(["compare", *folders]) == 2
        out, error = capsys.readouterr()
        assert out == "" and error.count("\n") == 1
        assert error.startswith(f"suti: error: {other}: {says}") and "`make run`" in error
