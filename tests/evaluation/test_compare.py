"""Two results folders side by side: hand-made numbers whose verdicts are computed by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from suti.evaluation.compare import (
    ClaimChange,
    changed_claims,
    compare,
    counts,
    protocol_differences,
    read_results,
    to_csv,
)
from suti.evaluation.metrics import METRICS
from suti.evaluation.summary import summary
from suti.io.atomic import write_json, write_text

ROOT = Path(__file__).resolve().parents[2]


def entry(mean: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"mean": mean, "low": low, "high": high, "n_subjects": 0 if mean is None else 4, "n_images": 8}


def folder(path: Path, runs: dict[str, dict[str, Any]], claims: list[dict[str, Any]] | None = None) -> Path:
    for run, report in runs.items():
        write_json(path / f"metrics/{run}.json", report)
    if claims is not None:
        write_json(path / "claims.json", claims)
    return path


def claim(name: str, holds: bool | None, rule: str = "r") -> dict[str, Any]:
    return {"number": "1", "name": name, "holds": holds, "rule": rule}


def verdicts(a: Path, b: Path, *metrics: str) -> dict[tuple[str, str], str]:
    rows = compare(read_results(a), read_results(b), metrics)
    return {(row.run, row.metric): row.verdict for row in rows}


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Half widths are .375 in A and .5 in B, so the spread is .625; binary fractions, so nothing is rounded."""
    a = {
        "same": entry(0.1, 0.0, 0.2),
        "at_the_limit": entry(0.5, 0.125, 0.875),
        "beyond": entry(0.5, 0.125, 0.875),
        "below": entry(1.5, 1.125, 1.875),
        "lost": entry(0.5, 0.4, 0.6),
        "unmeasured": entry(None),
    }
    b = {
        "same": entry(0.1, 0.0, 0.2),
        "at_the_limit": entry(1.125, 0.625, 1.625),
        "beyond": entry(1.1875, 0.6875, 1.6875),
        "below": entry(0.5, 0.0, 1.0),
        "lost": entry(None),
        "unmeasured": entry(None),
    }
    return (
        folder(tmp_path / "a", {"base": {"metrics": a}, "old": {"metrics": {"dino": entry(0.5, 0.4, 0.6)}}}),
        folder(tmp_path / "b", {"base": {"metrics": b}, "new": {"metrics": {"dino": entry(0.5, 0.4, 0.6)}}}),
    )


def test_verdicts_are_those_by_hand(two: tuple[Path, Path]) -> None:
    assert verdicts(*two) == {
        ("base", "at_the_limit"): "agrees",
        ("base", "below"): "differs",
        ("base", "beyond"): "differs",
        ("base", "lost"): "only in A",
        ("base", "same"): "equal",
        ("new", "dino"): "only in B",
        ("old", "dino"): "only in A",
    }
    assert counts(compare(*map(read_results, two))) == {
        "equal": 1, "agrees": 1, "differs": 2, "only in A": 2, "only in B": 1
    }  # fmt: skip


def test_difference_is_b_less_a_and_spread_adds_squares(two: tuple[Path, Path]) -> None:
    rows = {row.metric: row for row in compare(*map(read_results, two)) if row.run == "base"}
    assert (rows["beyond"].difference, rows["beyond"].spread) == (0.6875, 0.625)
    assert (rows["below"].difference, rows["below"].spread) == (-1.0, 0.625)
    assert (rows["lost"].difference, rows["lost"].spread) == (None, None)


def test_the_last_bit_parts_equal_from_agrees_and_differs(tmp_path: Path) -> None:
    next_to = float(np.nextafter(0.1, 1))
    metrics = {"wide": entry(0.1, 0.0, 0.2), "sure": entry(0.1, 0.1, 0.1), "interval": entry(0.1, 0.0, 0.2)}
    others = {"wide": entry(next_to, 0.0, 0.2), "sure": entry(next_to, next_to, next_to)}
    others["interval"] = entry(0.1, 0.0, float(np.nextafter(0.2, 1)))
    a = folder(tmp_path / "a", {"base": {"metrics": metrics}})
    b = folder(tmp_path / "b", {"base": {"metrics": others}})
    assert verdicts(a, b) == {("base", "wide"): "agrees", ("base", "sure"): "differs", ("base", "interval"): "agrees"}


def test_lists_of_prompts_are_compared_each_with_its_own(tmp_path: Path) -> None:
    """A run that drew the compositional prompts alone has their figures under `metrics` too."""
    plain, composed = {"dino": entry(0.5, 0.4, 0.6)}, {"dino": entry(0.9, 0.8, 1.0)}
    by_requests = {"all": composed, "by_requests": {"2": composed}}
    both = {"prompts": "templates", "metrics": plain, "compositional": by_requests}
    alone = {"prompts": "compositional", "metrics": composed, "compositional": by_requests}
    a, b = folder(tmp_path / "a", {"x": both}), folder(tmp_path / "b", {"x": alone})
    expected = {("x", "dino"): "only in A", ("x", "compositional/dino"): "equal"}
    assert verdicts(a, b) == verdicts(a, b, "dino") == expected
    assert verdicts(a, b, "compositional/dino") == {("x", "compositional/dino"): "equal"}


def test_metrics_are_chosen_and_an_unknown_one_is_named(two: tuple[Path, Path]) -> None:
    assert set(verdicts(*two, "dino", "same")) == {("base", "same"), ("new", "dino"), ("old", "dino")}
    with pytest.raises(ValueError, match=r"--metrics: 'dinno' is in neither .*; choose from at_the_limit, .*dino"):
        verdicts(*two, "same", "dinno")


def test_a_summary_of_the_workflow_is_read(tmp_path: Path) -> None:
    """Both lists of prompts as ``summary`` writes them; the same file is equal to itself."""
    rows = [
        {"run": "base", "sample_id": f"{s}{p}", "subject_id": s, "prompt_id": p, "image_index": 0}
        | dict.fromkeys(METRICS, level) | {"dinov2": np.nan}
        for s, level in (("s0", 0.25), ("s1", 0.75)) for p in ("00", "c12", "c11")
    ]  # fmt: skip
    report = summary(pd.DataFrame(rows), {}, None, None, 20, 0)
    results = read_results(folder(tmp_path, {"base": report}))
    found = results.figures["base", "compositional/dino"], results.figures["base", "dino"]
    assert [(figure.mean, figure.n_subjects) for figure in found] == [(0.5, 2), (0.5, 2)]
    assert len(results.figures) == 2 * (len(METRICS) - 1), "nothing stands for what was not measured"
    assert {row.verdict for row in compare(results, results)} == {"equal"}


def test_the_committed_results_are_read() -> None:
    tiny, systems = read_results(ROOT / "docs/results/tiny"), read_results(ROOT / "docs/results/systems")
    assert {row.verdict for row in compare(tiny, tiny)} == {"equal"} and not changed_claims(tiny, tiny)
    assert counts(compare(tiny, systems))["only in B"] > 0
    assert tiny.claims


def test_claims_flip_or_are_decided_on_one_side(tmp_path: Path) -> None:
    ones = [claim("kept", True), claim("flips", True), claim("lost", False), claim("gone", True), claim("open", None)]
    others = [claim("new", False), claim("kept", True, "other"), claim("flips", False, "other"), claim("lost", None)]
    a = read_results(folder(tmp_path / "a", {"base": {"metrics": {}}}, ones))
    b = read_results(folder(tmp_path / "b", {"base": {"metrics": {}}}, others))
    assert changed_claims(a, b) == [
        ClaimChange("1", "flips", True, False, "flips", False),
        ClaimChange("1", "lost", False, None, "decided in A only", True),
        ClaimChange("1", "gone", True, None, "decided in A only", True),
        ClaimChange("1", "new", None, False, "decided in B only", True),
    ]


def test_protocols_are_compared_in_what_both_state(tmp_path: Path) -> None:
    def report(**protocol: Any) -> dict[str, Any]:
        return {"metrics": {}, "protocol": protocol}

    a = folder(tmp_path / "a", {"x": report(subjects=4, probe="p"), "y": report(subjects=4), "z": report(subjects=4)})
    b = folder(tmp_path / "b", {"x": report(subjects=5, new=1), "y": report(subjects=5), "z": report(subjects=4)})
    assert protocol_differences(read_results(a), read_results(b)) == {("subjects",): ["x", "y"]}


def test_csv_has_every_bit(two: tuple[Path, Path]) -> None:
    rows = list(csv.DictReader(to_csv(compare(*map(read_results, two))).splitlines()))
    same = next(row for row in rows if row["metric"] == "same")
    assert (float(same["a_mean"]), float(same["b_high"]), same["a_n_subjects"]) == (0.1, 0.2, "4")
    lost = next(row for row in rows if row["metric"] == "lost")
    assert (lost["b_mean"], lost["difference"], lost["spread"], lost["verdict"]) == ("", "", "", "only in A")


@pytest.mark.parametrize("text", ["[]", "{}", '{"metrics": {"dino": {"mean": 1}}}', '{"metrics": {"dino": 1}}'])
def test_a_foreign_summary_is_named_with_its_folder(tmp_path: Path, text: str) -> None:
    write_text(tmp_path / "metrics/base.json", text)
    with pytest.raises(
        ValueError, match=r"metrics/base\.json: no summary of a run, .*name its results folder"
    ) as error:
        read_results(tmp_path)
    assert "\n" not in str(error.value)


def test_foreign_claims_are_named(tmp_path: Path) -> None:
    folder(tmp_path, {"base": {"metrics": {}}})
    write_text(tmp_path / "claims.json", '[{"statement": "mine"}]')
    with pytest.raises(ValueError, match=r"claims\.json: no list of claims, .*name its results folder"):
        read_results(tmp_path)
