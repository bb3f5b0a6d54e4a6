"""Strengths of methods from comparisons with ties: the model of Davidson (JASA 65, 1970), by maximum likelihood.

With strengths pi_i = exp(beta_i) and a propensity to tie nu >= 0,

    P(i beats j) = pi_i / D,    P(tie) = nu sqrt(pi_i pi_j) / D,    D = pi_i + pi_j + nu sqrt(pi_i pi_j).

Without ties this is Bradley and Terry's model. The betas sum to zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components


class Undetermined(ValueError):
    """The comparisons leave the strengths open."""


@dataclass(frozen=True)
class Strengths:
    """beta (M,), natural logarithms that sum to zero, and nu."""

    log_strength: np.ndarray
    tie: float


def fit(wins: np.ndarray, ties: np.ndarray, names: Sequence[str], ridge: float = 0.0) -> Strengths:
    """The strengths that make the comparisons most likely.

    Args:
        wins: (M, M), how often row beat column.
        ties: (M, M), ties of row and column above the diagonal.
        names: of the methods, for messages.
        ridge: weight of the penalty ridge / 2 x sum(beta^2). Any positive one makes strengths finite.

    Raises:
        Undetermined: groups of methods were never compared, or one group won every comparison with another, and
            there is no ridge; or all comparisons are ties.
    """
    ties = np.triu(ties + ties.T, 1)
    if not wins.sum():
        raise Undetermined("there are nothing but ties; strengths need at least one preference")
    if ridge == 0:
        _check_connected(wins, ties, names)
    first, second = np.triu_indices(len(names), 1)
    won, lost, tied = wins[first, second], wins[second, first], ties[first, second]
    with_ties = tied.sum() > 0

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        beta, log_nu = x[: len(names)], x[-1] if with_ties else -np.inf
        # log of each outcome's weight: a row each for first, second, tie
        middle = (beta[first] + beta[second]) / 2
        weights = np.stack([beta[first], beta[second], log_nu + middle])
        top = weights.max(axis=0)
        log_total = top + np.log(np.exp(weights - top).sum(axis=0))
        n = won + lost + tied
        given_ties = tied @ weights[2] if with_ties else 0.0
        # sum(beta)^2 only fixes the level, which the comparisons leave open
        penalty = ridge / 2 * (beta @ beta) + beta.sum() ** 2 / 2
        value = -(won @ weights[0] + lost @ weights[1] + given_ties) + n @ log_total + penalty
        p = np.exp(weights - log_total)
        residual = np.stack([won, lost, tied]) - n * p  # (3, pairs)
        slope = ridge * beta + beta.sum()
        np.add.at(slope, first, -(residual[0] + residual[2] / 2))
        np.add.at(slope, second, -(residual[1] + residual[2] / 2))
        return float(value), np.append(slope, -residual[2].sum()) if with_ties else slope

    start = np.zeros(len(names) + with_ties)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-8, "ftol": 1e-15, "maxiter": 1000})
    if not np.isfinite(found.fun) or np.abs(found.jac).max() > 1e-4 * max(1.0, wins.sum() + ties.sum()):
        raise Undetermined(f"no maximum found ({found.message}); give more comparisons, or a ridge")
    beta = found.x[: len(names)]
    return Strengths(beta - beta.mean(), float(np.exp(found.x[-1])) if with_ties else 0.0)


def _check_connected(wins: np.ndarray, ties: np.ndarray, names: Sequence[str]) -> None:
    """Finite strengths exist if from every method a chain of wins or ties leads to every other (Ford, 1957)."""
    edges = (wins + ties + ties.T) > 0
    if connected_components(edges, directed=True, connection="strong")[0] == 1:
        return
    for connection, what, remedy in (
        ("weak", "no comparison links", "compare methods across these groups"),
        ("strong", "one side won every comparison between", "give more ratings, or a ridge"),
    ):
        number, labels = connected_components(edges, directed=True, connection=connection)
        if number > 1:
            groups = [", ".join(name for name, k in zip(names, labels, strict=True) if k == g) for g in range(number)]
            raise Undetermined(f"{what} the groups ({') and ('.join(groups)}), so strengths are open; {remedy}")
