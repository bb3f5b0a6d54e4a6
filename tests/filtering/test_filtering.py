"""Eq. 6 by hand, lambdas of each kind, and the script."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from suti.filtering import delta_clip, filtered_set, kept_by_skill, resolve_lambda
from suti.io import tables
from suti.io.atomic import read_json


def scores(deltas: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": [f"y{i}" for i in range(len(deltas))],
            "subject_id": [f"s{i % 2}" for i in range(len(deltas))],
            "prompt_id": "p",
            "score": deltas,
        }
    )


def test_delta_clip_by_hand():
    prompt = np.array([1.0, 0.0])
    sample = np.array([0.6, 0.8])
    demonstrations = np.array([[0.0, 1.0], [0.28, 0.96], [-0.8, 0.6]])
    assert delta_clip(sample, prompt, demonstrations) == pytest.approx(0.6 - 0.28)


def test_delta_clip_may_be_negative_and_is_not_clipped():
    prompt = np.array([1.0, 0.0])
    assert delta_clip(np.array([-0.6, 0.8]), prompt, np.array([[0.8, 0.6]])) == pytest.approx(-1.4)
    with pytest.raises(ValueError, match="at least one"):
        delta_clip(prompt, prompt, np.zeros((0, 2)))


def test_lambdas():
    deltas = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    assert resolve_lambda("none", deltas) == -math.inf
    assert resolve_lambda("0.02", deltas) == 0.02
    assert resolve_lambda("q0.5", deltas) == pytest.approx(0.2)


def test_kept_means_strictly_larger():
    kept, threshold = filtered_set(scores([0.02, 0.021, 0.5, -0.1]), "0.02")
    assert threshold == 0.02 and kept["sample_id"].tolist() == ["y1", "y2"]
    kept, _ = filtered_set(scores([0.02, math.nextafter(-1, -2)]), "none")
    assert len(kept) == 2


def test_a_quantile_keeps_its_share_whatever_the_order_of_rows():
    frame = scores(list(np.random.default_rng(0).normal(size=100)))
    kept, _ = filtered_set(frame, "q0.8")
    shuffled, _ = filtered_set(frame.sample(frac=1, random_state=0), "q0.8")
    assert len(kept) == 20
    pd.testing.assert_frame_equal(kept, shuffled)


def test_an_empty_g_names_lambda_the_largest_delta_and_the_remedy():
    with pytest.raises(ValueError, match=r"lambda '0.9': G is empty.*0\.5.*filtering\.grid"):
        filtered_set(scores([0.1, 0.5]), "0.9")
    with pytest.raises(ValueError, match="no samples"):
        filtered_set(scores([]), "none")
    with pytest.raises(ValueError, match=r"'y1'.*not a finite number"):
        filtered_set(scores([0.1, math.nan]), "none")


def test_raw_zero_keeps_what_is_better_than_every_demonstration():
    kept, threshold = filtered_set(scores([0.0, 1e-6, -0.1, 0.3]), "0")
    assert threshold == 0 and kept["sample_id"].tolist() == ["y1", "y3"]


def prompts(skills: list[str]) -> pd.DataFrame:
    rows = [("s", f"p{i}", "a cat", skill, "grammar", False) for i, skill in enumerate(skills)]
    return pd.DataFrame(rows, columns=["subject_id", "prompt_id", "prompt", "skill", "backend", "fallback"])


def test_what_a_cut_keeps_by_skill():
    frame = scores([0.1, 0.3, 0.2, 0.4]).assign(prompt_id=["p0", "p1", "p0", "p1"])
    skills = {"p0": "art_style", "p1": "accessorization"}
    assert kept_by_skill(frame, 0.15, skills) == {
        "samples": 4, "kept": 3, "share": 0.75,
        "skills": {
            "accessorization": {"samples": 2, "kept": 2, "share": 1.0},
            "art_style": {"samples": 2, "kept": 1, "share": 0.5},
        },
    }  # fmt: skip
    assert kept_by_skill(frame.head(0), 0, skills) == {"samples": 0, "kept": 0, "share": None, "skills": {}}
    with pytest.raises(ValueError, match=r"prompt 'p1' \(2 in all\)"):
        kept_by_skill(frame, 0, {"p0": "art_style"})


@pytest.mark.parametrize("known", [False, True])
def test_script(tmp_path, monkeypatch, known):
    from scripts import filter_samples

    frame = scores([0.1, 0.3, 0.2]).assign(prompt_id=["p0", "p1", "p1"])
    tables.write(tmp_path / "scores.parquet", "scores", frame)
    tables.write(tmp_path / "truth.parquet", "scores", frame.assign(score=0.2).head(2))
    tables.write(tmp_path / "prompts.parquet", "prompts", prompts(["art_style", "accessorization"]))
    out = [str(tmp_path / name) for name in ("g.parquet", "g.json")]
    argv = ["filter_samples.py", "--lambda-name", "0.15", "--scores", str(tmp_path / "scores.parquet")]
    argv += ["--prompts", str(tmp_path / "prompts.parquet"), "--filtered", out[0], "--report", out[1]]
    argv += ["--truth-scores", str(tmp_path / "truth.parquet")] if known else []
    monkeypatch.setattr("sys.argv", argv)
    filter_samples.main()
    assert tables.read(out[0], "filtered")["sample_id"].tolist() == ["y1", "y2"]
    report = read_json(out[1])
    truth, skills = report.pop("truth", None), report.pop("skills")
    assert report == {"lambda": "0.15", "threshold": 0.15, "samples": 3, "kept": 2, "subjects": 2}
    assert skills["accessorization"] == {"samples": 2, "kept": 2, "share": 1.0} and skills["art_style"]["kept"] == 0
    # Without a world nothing is said of true pictures.
    assert (truth is None) == (not known)
    assert not known or (truth["samples"], truth["share"], truth["skills"]["art_style"]["kept"]) == (2, 1.0, 1)
