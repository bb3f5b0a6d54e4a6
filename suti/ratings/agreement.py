"""Krippendorff's alpha: how far raters agree beyond chance (Krippendorff, Content Analysis, chapter 11)."""

from __future__ import annotations

import krippendorff
import numpy as np


def counts(raters: np.ndarray, units: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each value was given to each unit.

    Args:
        raters: (N,) labels; a rater gives a unit one value at most.
        units: int (N,) in [0, U).
        values: float (N,); nan is a missing rating.

    Returns:
        int (U, V), and the sorted distinct values (V,).
    """
    there = ~np.isnan(values)
    domain, places = np.unique(values[there], return_inverse=True)
    result = np.zeros((int(units.max(initial=-1)) + 1, len(domain)), dtype=np.int64)
    np.add.at(result, (units[there], places), 1)
    return result, domain


def alpha(value_counts: np.ndarray, domain: np.ndarray) -> float:
    """Alpha at the interval level, at most 1; 0 is what chance gives.

    Units with fewer than two ratings say nothing. nan where alpha is undefined: no unit has two ratings, or all such
    ratings are equal, so that there is nothing to agree upon.

    Args:
        value_counts: (U, V), of ``counts``. A unit may stand there several times, as in a resample.
        domain: (V,) ascending.
    """
    pairable = value_counts[value_counts.sum(axis=1) >= 2]
    used = pairable.sum(axis=0) > 0
    if used.sum() < 2:
        return float("nan")
    return float(
        krippendorff.alpha(
            value_counts=pairable[:, used], value_domain=domain[used].tolist(), level_of_measurement="interval"
        )
    )
