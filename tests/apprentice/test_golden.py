"""The shipped apprentice still draws what it drew: its pictures' scores, with and without demonstrations."""

from __future__ import annotations

import pytest

from tests.golden_apprentice import draw_scores, golden, weights

# Another processor or library rounds otherwise, so no pixel is the same for sure, but means over pictures hardly move:
# all weights rounded to bfloat16 (2^-9 of their value, float32 rounds at 2^-24) moved no mean by more than 0.002.
TOLERANCE = 0.01


def test_scores_of_the_shipped_apprentice_are_the_golden_ones():
    known = golden()
    assert weights() == known["weights"], (
        "another apprentice or probe is shipped: `make golden`, and look at the change"
    )
    found = draw_scores()
    for condition, scores in known["scores"].items():
        assert found[condition] == pytest.approx(scores, abs=TOLERANCE), condition
    assert found["with"]["subject"] > found["without"]["subject"] + 0.1
