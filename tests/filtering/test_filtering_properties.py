"""Lambda as it is written, and G at one lambda against G at another, for any scores."""

from __future__ import annotations

import math
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from suti.config.values import parse_lambda
from suti.filtering import filtered_set, resolve_lambda

DIGITS = st.text("0123456789", min_size=1, max_size=4)
DELTAS = st.lists(st.integers(-1000, 1000).map(lambda n: n / 1000), min_size=1, max_size=30)


@given(DIGITS, DIGITS)
def test_a_number_is_an_absolute_lambda_and_with_q_a_quantile(whole, decimals):
    for text in (whole, f".{decimals}", f"{whole}.{decimals}"):
        assert parse_lambda(text) == ("absolute", float(Decimal(text)))
        if float(text) < 1:
            assert parse_lambda(f"q{text}") == ("quantile", float(text))
        else:
            with pytest.raises(ValueError, match=r"a quantile lies in \[0, 1\)"):
                parse_lambda(f"q{text}")


@example("٣")
@given(st.text("q.0123456789-+e/_ \n", max_size=6) | st.text("noeq/."))
def test_any_other_text_is_refused(text):
    """A lambda becomes part of file names."""
    if text == "none":
        assert parse_lambda(text) == ("none", 0.0)
    elif not re.fullmatch(r"q?[0-9]*\.?[0-9]+", text):
        with pytest.raises(ValueError, match="expected none, a number such as"):
            parse_lambda(text)


def scores(deltas: list[float]) -> pd.DataFrame:
    rows = [(f"y{i:03d}", f"s{i % 3}", "p", delta) for i, delta in enumerate(deltas)]
    return pd.DataFrame(rows, columns=["sample_id", "subject_id", "prompt_id", "score"])


def kept(deltas: list[float], lambda_name: str) -> set[str]:
    try:
        return set(filtered_set(scores(deltas), lambda_name)[0]["sample_id"])
    except ValueError as error:
        assert "G is empty" in str(error)
        return set()


@given(DELTAS, st.lists(st.integers(0, 999), min_size=2, max_size=2).map(sorted))
def test_g_at_a_higher_lambda_is_a_part_of_g_at_a_lower_one(deltas, pair):
    low, high = (number / 1000 for number in pair)
    assert kept(deltas, f"{high:.3f}") <= kept(deltas, f"{low:.3f}") <= kept(deltas, "none")
    assert kept(deltas, f"q{high:.3f}") <= kept(deltas, f"q{low:.3f}") <= kept(deltas, "none")
    assert len(kept(deltas, "none")) == len(deltas)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=30, unique=True), st.integers(0, 99))
def test_a_quantile_keeps_its_share(numbers, percent):
    deltas = np.array(numbers) / 1000
    threshold = resolve_lambda(f"q{percent / 100:.2f}", deltas)
    assert abs((deltas > threshold).sum() - (1 - percent / 100) * len(deltas)) <= 1
    assert resolve_lambda("none", deltas) == -math.inf
