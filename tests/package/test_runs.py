"""Names of runs: one type writes and reads them."""

from __future__ import annotations

import re

import pytest

from suti.baselines.systems import SYSTEMS
from suti.config.values import parse_lambda
from suti.runs import CONTROLS, LAMBDA, PATTERN, TRAINED_ON, Run, numbers_of_demonstrations, parse_suti


@pytest.mark.parametrize(
    "name",
    [
        "suti-q0.4-k4",
        "suti-none-k0",
        "suti-0-k4",
        "suti-0.02-k10",
        "suti-.5-k1",
        "suti-copies-filtered-k4",
        "real",
        "base",
        "experts",
        *SYSTEMS,
    ],
)
def test_a_name_is_read_and_written_back(name: str):
    run = Run.parse(name)
    assert str(run) == name and re.fullmatch(PATTERN, name)
    assert run.is_suti == name.startswith("suti-")


def test_parts_of_a_run_of_suti():
    run = Run.parse("suti-q0.4-k4")
    assert (run.system, run.lam, run.demonstrations) == ("suti", "q0.4", 4)
    assert str(run.at(demonstrations=0)) == "suti-q0.4-k0" and str(run.at(lam="none")) == "suti-none-k4"
    assert Run.parse("dream-suti") == Run("dream-suti") and not Run.parse("dream-suti").is_suti
    assert parse_suti("suti-none-k3") == ("none", 3)


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_stands_where_a_lambda_stands(control: str):
    run = Run.suti(control, 4)
    assert str(run) == f"suti-{control}-k4" and Run.parse(str(run)) == run and run.is_control and run.is_suti
    assert parse_suti(str(run)) == (control, 4) and re.fullmatch(TRAINED_ON, control)
    # It is no lambda, so no claim about lambdas counts it.
    assert not re.fullmatch(LAMBDA, control) and not Run.suti("none", 4).is_control
    with pytest.raises(ValueError, match="expected none, a number"):
        parse_lambda(control)


@pytest.mark.parametrize("name", ["", "suti", "../base", "Base", "a b", "base\n", "-x"])
def test_what_is_no_name(name: str):
    with pytest.raises(ValueError, match="expected a system's name, or suti-LAMBDA-kN"):
        Run.parse(name)


@pytest.mark.parametrize("parts", [("suti", "q", 4), ("suti", "q0.4", -1), ("suti", "q0.4", None), ("base", None, 1)])
def test_parts_that_make_no_run(parts: tuple):
    with pytest.raises(ValueError, match="run"):
        Run(*parts)


@pytest.mark.parametrize("name", ["base", "suti-q-k4", "suti-q0.4-k", "suti--k4", "suti-q0.4-k4-k4"])
def test_other_runs_have_no_lambda(name: str):
    with pytest.raises(ValueError, match="expected suti-LAMBDA-kN"):
        parse_suti(name)


def test_numbers_of_demonstrations_of_one_lambda():
    names = ["suti-q0.4-k10", "base", "suti-q0.4-k2", "suti-none-k4", "suti-q0.4-k0", "dream-suti"]
    assert numbers_of_demonstrations("q0.4", names) == [0, 2, 10]
    assert numbers_of_demonstrations("q0.8", names) == []


@pytest.mark.parametrize(
    ("text", "matches"), [("none", True), ("0.02", True), (".5", True), ("q0.4", True), ("q", False), ("1.", False)]
)
def test_the_pattern_of_a_lambda(text: str, matches: bool):
    assert bool(re.fullmatch(LAMBDA, text)) == matches
