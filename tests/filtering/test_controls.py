"""Controls: a random subset, planted copies of the own page, and the script that chooses their sets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from suti.controls import COPY, plant, planted_scores, random_subset
from suti.experts.embedding import SubjectEmbeddings
from suti.io import tables
from suti.io.atomic import read_json, write_json

SUBJECTS, PROMPTS, SHOWN = 20, 5, 3


def samples() -> pd.DataFrame:
    rows = [(f"s{s:02d}_p{p}_0", f"s{s:02d}", f"p{p}") for s in range(SUBJECTS) for p in range(PROMPTS)]
    frame = pd.DataFrame(rows, columns=["sample_id", "subject_id", "prompt_id"])
    return frame.assign(prompt="a cat in the snow", expert_id="e")


def demonstrations() -> pd.DataFrame:
    rows = [(f"s{s:02d}", f"s{s:02d}-{i}", "a cat") for s in range(SUBJECTS) for i in reversed(range(SHOWN))]
    return pd.DataFrame(rows, columns=["subject_id", "image_id", "text"])


def scores() -> pd.DataFrame:
    values = np.random.default_rng(0).normal(0.2, 0.1, SUBJECTS * PROMPTS)
    return samples()[["sample_id", "subject_id", "prompt_id"]].assign(score=values)


def embeddings() -> dict[str, SubjectEmbeddings]:
    rng = np.random.default_rng(1)

    def unit(n: int) -> np.ndarray:
        rows = rng.normal(size=(n, 8))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    return {f"s{s:02d}": SubjectEmbeddings(unit(PROMPTS), unit(PROMPTS), unit(SHOWN)) for s in range(SUBJECTS)}


def test_a_random_subset_looks_at_no_score_and_at_no_order():
    chosen = random_subset(scores(), 60, 0)
    assert len(chosen) == 60 and chosen["sample_id"].is_monotonic_increasing
    shuffled = scores().sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(random_subset(shuffled.assign(score=-shuffled["score"]), 60, 0)[["sample_id"]],
                                  chosen[["sample_id"]])  # fmt: skip
    assert set(random_subset(scores(), 20, 0)["sample_id"]) < set(chosen["sample_id"])
    assert set(random_subset(scores(), 60, 1)["sample_id"]) != set(chosen["sample_id"])
    with pytest.raises(ValueError, match="101 samples of 100"):
        random_subset(scores(), 101, 0)


def test_copies_are_of_the_own_page_and_nested_in_larger_shares():
    planted = plant(samples(), demonstrations(), 0.72, 0)
    copies = planted[planted["copied"] != ""]
    assert len(copies) == 72 and len(planted) == 100
    assert (copies["copied"].str.split("-").str[0] == copies["subject_id"]).all() and copies["copied"].nunique() > 30
    assert (copies["sample_id"] == samples()["sample_id"][copies.index] + COPY).all()
    rest = planted[planted["copied"] == ""]
    assert (rest["sample_id"] == samples()["sample_id"][rest.index]).all()
    fewer = plant(samples(), demonstrations(), 0.25, 0)
    assert set(fewer.loc[fewer["copied"] != "", "sample_id"]) < set(copies["sample_id"])


def test_no_copy_is_better_than_the_demonstration_that_it_is():
    planted = plant(samples(), demonstrations(), 0.72, 0)
    found = planted_scores(planted, scores(), demonstrations(), embeddings(), "delta_clip")
    copied = (planted["copied"] != "").to_numpy()
    assert found["score"][copied].max() <= 1e-6 and found["score"][copied].min() < -0.1
    assert (found["score"][~copied] == scores()["score"][~copied]).all()
    row = int(np.flatnonzero(copied)[0])
    own, place = embeddings()[planted["subject_id"][row]], int(planted["copied"][row][-1])
    prompt = own.prompts[row % PROMPTS]
    wanted = own.demonstrations[place] @ prompt - (own.demonstrations @ prompt).max()
    assert found["score"][row] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(("control", "kept"), [("random", 60), ("copies", 100), ("copies-filtered", 28)])
def test_script(tmp_path, monkeypatch, control, kept):
    from scripts import choose_control

    planted = plant(samples(), demonstrations(), 0.72, 0)
    values = scores().assign(score=np.where(planted["copied"] != "", -0.1, 0.5), sample_id=planted["sample_id"])
    tables.write(tmp_path / "scores.parquet", "scores", values)
    write_json(tmp_path / "q0.4.json", {"lambda": "q0.4", "threshold": 0.1, "samples": 100, "kept": 60})
    files = {"scores": "scores.parquet", "default": "q0.4.json", "filtered": "g.parquet", "report": "g.json"}
    argv = ["x", "--control", control, "--settings", '{"seed": 0}']
    argv += [word for name, file in files.items() for word in (f"--{name}", str(tmp_path / file))]
    monkeypatch.setattr("sys.argv", argv)
    choose_control.main()
    report = read_json(tmp_path / "g.json")
    assert (report["lambda"], report["control"], report["samples"], report["kept"]) == (control, True, 100, kept)
    assert report["threshold"] == (0.1 if control == "copies-filtered" else None)
    assert len(tables.read(tmp_path / "g.parquet", "filtered")) == kept
