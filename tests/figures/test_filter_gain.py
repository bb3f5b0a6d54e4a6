"""The filter's gain on samples whose failures the score knows, or does not know."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from suti.controls import COPY
from suti.figures.filter_gain import gain_curve, gain_table, judged_samples


def samples(seen: bool = True, failed: float = 0.3, n: int = 200) -> pd.DataFrame:
    """n samples of 20 subjects. ``seen``: those that fail score 0.1 and the others 0.3; else the score is noise."""
    rng = np.random.default_rng(0)
    passed = rng.uniform(size=n) >= failed
    score = np.where(passed, 0.3, 0.1) if seen else np.full(n, 0.2)
    names = [f"y{i:03d}" for i in range(n)]
    frame = pd.DataFrame({"sample_id": names, "subject_id": [f"s{i % 20}" for i in range(n)]})
    return frame.assign(score=score + rng.normal(0, 0.01, n), passed=passed, skill="art_style")


def copies(of: pd.DataFrame, share: float = 0.72) -> pd.DataFrame:
    first = of.iloc[: round(share * len(of))]
    return first.assign(sample_id=first["sample_id"] + COPY, score=-0.1, passed=False)


def test_a_score_that_sees_failures_gains_what_a_quantile_can():
    table = gain_table(samples(), copies(samples()), "q0.4", 50, 0)
    natural = table[table["kind"] == "natural"].set_index("failed", drop=False)
    assert natural["failed"].tolist() == pytest.approx([0, 0.1, 0.25, 0.5, 0.72])
    assert natural["kept"].to_numpy() == pytest.approx(0.6, abs=0.01)
    # 60 % are kept: all of them pass while no more than 40 % fail, and beyond that all that pass are kept.
    wanted = [0, 0.1, 0.25, 0.5 / 0.6 - 0.5, 0.28 / 0.6 - 0.28]
    assert natural["gain"].tolist() == pytest.approx(wanted, abs=0.02)
    assert (table["low"] <= table["gain"] + 1e-9).all() and (table["gain"] <= table["high"] + 1e-9).all()


def test_a_score_that_sees_nothing_gains_nothing_but_of_copies():
    of = samples(seen=False)
    table = gain_table(of, copies(of), "q0.4", 50, 0)
    natural, planted = (table[table["kind"] == kind] for kind in ("natural", "copies"))
    assert (natural["low"] <= 0.02).all() and (natural["high"] >= -0.02).all()
    assert planted["planted"].tolist() == pytest.approx([0, 0.1, 0.25, 0.5, 0.72])
    assert planted["gain"].iloc[0] == pytest.approx(0, abs=0.05) and planted["gain"].iloc[3] > 0.2
    assert (planted["failed"].diff().dropna() > 0).all()


def test_copies_are_planted_all_over_the_subjects():
    of = samples(failed=0.0).sort_values("subject_id")
    of["passed"] = of["subject_id"] < "s15"
    table = gain_table(of, copies(of, 1.0), "none", 20, 0)
    planted = table[(table["kind"] == "copies") & np.isclose(table["planted"], 0.5)].iloc[0]
    assert planted["before"] == pytest.approx(of["passed"].mean() / 2, abs=0.08)
    assert planted["gain"] == 0 and planted["kept"] == 1


def test_a_score_that_sorts_skills_gains_within_them_only():
    """Of the two skills one scores higher, and fails more often; within each the score sees what fails."""
    of = samples(failed=0.5)
    hard = np.arange(len(of)) % 2 == 0
    passed = np.where(hard, np.arange(len(of)) % 10 < 3, np.arange(len(of)) % 10 < 8)
    of = of.assign(passed=passed, skill=np.where(hard, "hard", "easy"), score=0.1 * passed + hard)
    table = gain_table(of, copies(of), "q0.4", 20, 0)
    at_half = table[np.isclose(table["failed"], 0.5)].set_index("kind")
    assert at_half.loc["natural", "gain"] < -0.05 and at_half.loc["within", "gain"] > 0.05
    raw = gain_table(of, copies(of), "0.5", 20, 0)
    assert set(raw["kind"]) == {"natural", "copies"}


def test_raw_lambdas_and_cases_that_cannot_be():
    of = samples()
    raw = gain_table(of, copies(of), "0", 20, 0)
    at_half = raw[(raw["kind"] == "copies") & np.isclose(raw["planted"], 0.5)].iloc[0]
    assert at_half["kept"] == pytest.approx(0.5) and at_half["after"] > at_half["before"] + 0.2
    good = of.assign(passed=True)
    table = gain_table(good, copies(good, 0.1), "q0.4", 20, 0)
    assert table.loc[table["kind"] == "natural", "failed"].tolist() == [0.0]
    assert table.loc[table["kind"] == "copies", "planted"].tolist() == pytest.approx([0, 0.1])
    with pytest.raises(ValueError, match="no sample is judged"):
        gain_table(of.head(0), copies(of), "q0.4", 20, 0)


def test_judged_samples_pass_by_subject_and_text():
    scores = pd.DataFrame({"sample_id": ["b", "a", "c", "d"], "subject_id": "s", "score": [0.1, 0.2, 0.3, 0.4]})
    scores["prompt_id"] = ["p", "q", "p", "q"]
    metrics = pd.DataFrame({"sample_id": ["a", "b", "c"], "subject": [0.8, 0.5, 0.9], "text": [1.0, 1.0, 0.5]})
    limits, skills = {"subject": 0.7, "text": 0.99, "realism": 0.7}, {"p": "art_style", "q": "accessorization"}
    found = judged_samples(scores, metrics.assign(realism=0.0), limits, skills)
    assert found["skill"].tolist() == ["accessorization", "art_style", "art_style"]
    assert found["sample_id"].tolist() == ["a", "b", "c"] and found["passed"].tolist() == [True, False, False]


def test_the_figure_shows_both_kinds():
    table = gain_table(samples(), copies(samples()), "q0.4", 20, 0)
    axes = gain_curve(table, "q0.4").axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "the experts' own failures", "the same, cut within each skill", "planted copies of the page",
    ]  # fmt: skip
