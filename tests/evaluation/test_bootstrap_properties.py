"""The bootstrap over subjects, for any table of metrics: it follows its numbers and not the order of the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suti.evaluation.bootstrap import common_pairs, difference, interval, resamples, summarise

VALUES = st.integers(-100, 100).map(lambda n: n / 100)
MEANS = st.lists(VALUES, min_size=1, max_size=8).map(np.array)
ROWS = st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 1)), VALUES, min_size=1)


def table(rows: dict[tuple[int, int, int], float]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"subject_id": f"s{s}", "prompt_id": f"{p:02d}", "image_index": i, "dino": v} for (s, p, i), v in rows.items()]
    )


@given(MEANS, VALUES, st.integers(1, 5))
def test_an_interval_shifts_and_scales_with_its_numbers(means, shift, scale):
    mean, low, high = interval(means, 50, 3)
    assert means.min() - 1e-9 <= low <= high <= means.max() + 1e-9
    assert interval(means * scale + shift, 50, 3) == pytest.approx([x * scale + shift for x in (mean, low, high)])
    weighted = interval(means, 50, 3, weights=np.full(len(means), float(scale)))
    assert weighted == pytest.approx((mean, low, high))


@given(st.integers(1, 9), st.integers(1, 30), st.integers(0, 5))
def test_resamples_are_of_the_subjects_and_depend_on_the_seed_alone(subjects, bootstrap, seed):
    draws = resamples(subjects, bootstrap, seed)
    assert draws.shape == (bootstrap, subjects) and draws.min() >= 0 and draws.max() < subjects
    assert np.array_equal(draws, resamples(subjects, bootstrap, seed))


@given(ROWS, st.randoms(use_true_random=False), st.sampled_from(["subjects", "images"]))
def test_the_order_of_the_rows_does_not_matter(rows, random, aggregate):
    shuffled = list(rows.items())
    random.shuffle(shuffled)
    one, other = (summarise(table(r), 20, 0, ["dino"], aggregate)["dino"] for r in (rows, dict(shuffled)))
    assert one == pytest.approx(other)
    mean = np.mean(list(rows.values()))
    if aggregate == "images":
        assert one["mean"] == pytest.approx(mean)
    assert (one["n_subjects"], one["n_images"]) == (len({s for s, _, _ in rows}), len(rows))


@settings(max_examples=12)
@given(ROWS, ROWS)
def test_runs_are_compared_on_what_both_have(left, right):
    shared = left.keys() & right.keys()
    runs = {"a": table(left), "b": table(right)}
    if not shared:
        with pytest.raises(ValueError, match="runs a, b: no"):
            common_pairs(runs)
        return
    assert all(len(run) == len(shared) for run in common_pairs(runs).values())
    found = difference(runs["a"], runs["b"], 20, 0, ["dino"])["dino"]
    assert found["n_images"] == len(shared)
    back = difference(runs["b"], runs["a"], 20, 0, ["dino"])["dino"]
    assert found["mean"] == pytest.approx(-back["mean"]) and found["low"] == pytest.approx(-back["high"])
