"""Davidson's model: cases that can be solved by hand, simulated strengths, and comparisons that leave them open."""

from __future__ import annotations

import numpy as np
import pytest

from suti.ratings.bradley_terry import Undetermined, fit
from suti.seeds import generator


def test_two_methods_are_fitted_exactly() -> None:
    found = fit(np.array([[0, 9], [4, 0]]), np.array([[0, 3], [0, 0]]), "AB")
    assert np.diff(found.log_strength)[0] == pytest.approx(np.log(4 / 9), abs=1e-6)
    assert found.tie == pytest.approx(3 / np.sqrt(36), abs=1e-6)


def test_without_ties_it_is_bradley_terry_on_a_chain() -> None:
    """A meets B and B meets C only, so each pair is fitted exactly."""
    wins = np.array([[0, 6, 0], [2, 0, 5], [0, 10, 0]])
    found = fit(wins, np.zeros((3, 3)), "ABC")
    a, b, c = found.log_strength
    assert (a - b, b - c) == pytest.approx((np.log(3), np.log(1 / 2)), abs=1e-6)
    assert a + b + c == pytest.approx(0) and found.tie == 0


def test_a_circle_is_level() -> None:
    wins = np.array([[0, 7, 0], [0, 0, 7], [7, 0, 0]])
    assert fit(wins, np.zeros((3, 3)), "ABC").log_strength == pytest.approx([0, 0, 0], abs=1e-6)


def test_simulated_strengths_are_found_again() -> None:
    beta, nu, n = np.array([0.8, 0.1, -0.2, -0.7]), 0.5, 40_000
    draws = generator("test-davidson")
    wins, ties = np.zeros((2, 4, 4))
    for i, j in zip(*np.triu_indices(4, 1), strict=True):
        p = np.array([np.exp(beta[i]), np.exp(beta[j]), nu * np.exp((beta[i] + beta[j]) / 2)])
        wins[i, j], wins[j, i], ties[i, j] = draws.multinomial(n, p / p.sum())
    found = fit(wins, ties, "ABCD")
    assert found.log_strength == pytest.approx(beta, abs=0.03)
    assert found.tie == pytest.approx(nu, abs=0.02)


@pytest.mark.parametrize(
    ("wins", "ties", "wanted"),
    [
        ([[0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 2, 0]], np.zeros((4, 4)), r"no comparison links .*\(A, B\)"),
        ([[0, 2, 0], [0, 0, 1], [0, 1, 0]], np.zeros((3, 3)), "one side won every comparison"),
        (np.zeros((2, 2)), [[0, 3], [0, 0]], "nothing but ties"),
    ],
)
def test_open_strengths_are_an_error(wins: list, ties: list, wanted: str) -> None:
    with pytest.raises(Undetermined, match=wanted):
        fit(np.array(wins), np.array(ties), "ABCD"[: len(wins)])
