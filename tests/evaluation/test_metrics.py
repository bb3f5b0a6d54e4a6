"""Metrics by hand, the bootstrap on a known mean, and a run judged with toy encoders."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from suti.evaluation.bootstrap import common_pairs, difference, interval, summarise, template_rows
from suti.evaluation.judging import judge_run
from suti.evaluation.metrics import METRICS, overall, reference_similarity, text_similarity
from suti.evaluation.summary import probe_thresholds, summary
from suti.io import tables


def test_reference_similarity_is_the_mean_over_all_references():
    images = np.array([[1.0, 0.0], [0.6, 0.8]])
    references = np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(reference_similarity(images, references), [0.5, 0.7])


def test_a_real_picture_is_not_compared_with_itself():
    real = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    found = reference_similarity(real, real, np.eye(3, dtype=bool))
    np.testing.assert_allclose(found, [(0.6 + 0) / 2, (0.6 + 0.8) / 2, (0 + 0.8) / 2])
    assert np.isnan(reference_similarity(real[:1], real[:1], np.ones((1, 1), bool))).all()


def test_text_similarity_pairs_rows():
    images = np.array([[1.0, 0.0], [0.6, 0.8]], np.float32)
    prompts = np.array([[0.8, 0.6], [0.0, 1.0]], np.float32)
    np.testing.assert_allclose(text_similarity(images, prompts), [0.8, 0.8], atol=1e-7)


def test_overall_is_the_and_of_the_three_thresholds():
    scores = {
        "subject": np.array([0.5, 0.9, 0.49, np.nan]),
        "text": np.array([1.0, 0.5, 1.0, 1.0]),
        "realism": np.array([0.5, 0.9, 0.9, 0.9]),
    }
    found = overall(scores, {"subject": 0.5, "text": 0.99, "realism": 0.5})
    np.testing.assert_array_equal(found, [1, 0, 0, np.nan])
    with pytest.raises(KeyError, match="realism"):
        overall(scores, {"subject": 0.5, "text": 0.99})


def image_metrics(values: dict[str, list[float]], run: str = "base") -> pd.DataFrame:
    rows = [
        {"run": run, "sample_id": f"{s}-{i}", "subject_id": s, "prompt_id": f"{i:02d}", "image_index": 0}
        | dict.fromkeys(METRICS, np.nan)
        | {"subject": value}
        for s, all_values in values.items()
        for i, value in enumerate(all_values)
    ]
    return pd.DataFrame(rows)


def test_the_estimate_is_the_mean_of_subject_means():
    found = summarise(image_metrics({"a": [1.0, 0.0, 0.5, 0.5], "b": [0.1]}), 200, 0)
    assert found["subject"]["mean"] == pytest.approx(0.3)
    assert (found["subject"]["n_subjects"], found["subject"]["n_images"]) == (2, 5)
    assert found["dino"] == {"mean": None, "low": None, "high": None, "n_subjects": 0, "n_images": 0, "n_trainings": 0}


def test_the_summary_does_not_depend_on_row_order():
    frame = image_metrics({f"s{i}": list(np.random.default_rng(i).uniform(size=4)) for i in range(6)})
    assert summarise(frame, 100, 1) == summarise(frame.sample(frac=1, random_state=3), 100, 1)
    assert summarise(frame, 100, 1) != summarise(frame, 100, 2)


def test_the_interval_covers_a_known_mean_about_95_times_in_100():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        _, low, high = interval(rng.normal(0.6, 0.2, 40), 300, trial)
        covered += low <= 0.6 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_one_subject_has_an_interval_of_no_width():
    assert interval(np.array([0.4]), 50, 0) == (0.4, 0.4, 0.4)


def test_differences_are_paired():
    rng = np.random.default_rng(0)
    base = {f"s{i}": list(rng.uniform(size=3)) for i in range(10)}
    better = {s: [v + 0.1 for v in values] for s, values in base.items()}
    found = difference(image_metrics(better, "suti"), image_metrics(base), 200, 0)["subject"]
    np.testing.assert_allclose([found["mean"], found["low"], found["high"]], 0.1)


def test_common_pairs():
    runs = {
        "x": image_metrics({"a": [1.0, 2.0], "b": [1.0]}),
        "y": image_metrics({"a": [1.0], "b": [1.0, 2.0]}),
    }
    assert [len(frame) for frame in common_pairs(runs).values()] == [2, 2]
    with pytest.raises(ValueError, match="x, y: no"):
        common_pairs({"x": runs["x"], "y": image_metrics({"c": [1.0]})})


def test_prompts_that_are_only_shown_are_left_out():
    frame = image_metrics({"a": [1.0, 2.0, 3.0, 4.0]}).assign(prompt_id=["00", "c2", "photo-00", "a1"])
    assert template_rows(frame)["prompt_id"].tolist() == ["00", "photo-00"]


class Judge:
    """A toy probe with fixed answers."""

    thresholds = {"subject": 0.5, "text": 0.5, "realism": 0.5}  # noqa: RUF012

    def judge(self, images, prompts, references):
        assert len(images) == len(prompts) == len(references)
        return np.full(len(images), 0.6), np.linspace(0.4, 0.6, len(images)), np.full(len(images), 0.7)


def run_of(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"run": "x", "sample_id": k, "subject_id": s, "prompt_id": k[-2:], "prompt": p, "image_index": 0}
            for k, s, p in rows
        ]
    )


def test_the_probe_judges_a_subject_at_a_time_and_the_summary_tells_how(tmp_path):
    rng = np.random.default_rng(0)
    generations = run_of([(f"{s}__{i:02d}", s, f"{i + 1} 2 3") for i in range(3) for s in "ab"])
    images = {k: rng.integers(1, 256, (4, 4, 3), dtype=np.uint8) for k in generations["sample_id"]}
    found = judge_run(generations, images, {s: [images["a__00"]] for s in "ab"}, Judge())
    assert found["sample_id"].tolist() == generations["sample_id"].tolist()
    assert found.loc[found["subject_id"] == "a", "text"].tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert found.loc[found["subject_id"] == "a", "overall"].tolist() == [0, 1, 1]
    found = pd.DataFrame({name: found.get(name, np.nan) for name in (*found, *METRICS)})
    tables.write(tmp_path / "m.parquet", "image_metrics", found)
    report = summary(found, {"dino": "toy"}, "probe", Judge.thresholds, 50, 0)
    assert report["metrics"]["overall"]["mean"] == pytest.approx(2 / 3)
    assert report["protocol"]["subjects"] == 2 and "50 bootstrap" in report["protocol"]["interval"]


def test_thresholds_are_read_of_the_probes_folder(tmp_path):
    (tmp_path / "config.json").write_text('{"thresholds": {"subject": 0.5, "text": 1, "realism": 0.7}}')
    assert probe_thresholds(tmp_path) == {"subject": 0.5, "text": 1.0, "realism": 0.7}
    (tmp_path / "config.json").write_text('{"thresholds": {"subject": 0.5}}')
    with pytest.raises(ValueError, match=r"config\.json: thresholds are .* subject, text, realism"):
        probe_thresholds(tmp_path)


def test_trainings_widen_the_interval_by_hand():
    frames = [
        image_metrics({"a": [0.0], "b": [0.0]}, "suti-q0.4-k4"),
        image_metrics({"a": [1.0], "b": [1.0]}, "suti-q0.4-k4-t2"),
    ]
    found = summarise(pd.concat(frames), 400, 0, ["subject"])["subject"]
    # Deviations of .5 from the mean, times sqrt(2); both draws may be of one training.
    np.testing.assert_allclose([found["mean"], found["low"], found["high"]], [0.5, 0.5 - 0.5**0.5, 0.5 + 0.5**0.5])
    assert found["n_trainings"] == 2
    one = summarise(frames[0], 400, 0, ["subject"])["subject"]
    assert (one["mean"], one["low"], one["high"], one["n_trainings"]) == (0, 0, 0, 1)
