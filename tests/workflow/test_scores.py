"""What a change of scores or intervals reruns: no expert is trained and no picture embedded in vain."""

from __future__ import annotations

import shutil

import pytest

from suti.io import tables

pytestmark = pytest.mark.workflow

EXPERTS = {"ingest_pages", "mine_clusters", "caption_images", "write_prompts", "partition_subjects", "train_experts"}
CLIP = "resources/models/clip"


def test_another_encoder_embeds_and_scores_anew_and_trains_no_expert(workflow) -> None:
    shutil.copytree(workflow.path / CLIP, workflow.path / "clip")
    workflow.configure({"filtering": {"encoder": "open_clip:local-dir:clip"}})
    planned = workflow.planned()
    assert planned["embed_samples"] == 2 and planned["score_samples"] == 1
    assert (planned["score_truth"], planned["filter_samples"], planned["train_apprentice"]) == (1, 2, 3)
    assert not EXPERTS & set(planned)
    cached = {path: path.stat().st_mtime_ns for path in (workflow.path / "results/experts").rglob("*")}
    scores = (workflow.path / "results/scores/delta_clip.parquet").read_bytes()
    workflow.snakemake("scores")
    assert {path: path.stat().st_mtime_ns for path in cached} == cached
    # The same CLIP under another name.
    assert (workflow.path / "results/scores/delta_clip.parquet").read_bytes() == scores


def test_a_second_score_is_scored_and_nothing_else(workflow) -> None:
    workflow.configure({"filtering": {"scores": ["delta_clip", "image_similarity"]}})
    assert workflow.planned() == {"score_samples": 1}
    workflow.snakemake()
    assert workflow.planned() == {}
    first, second = (
        tables.read(workflow.path / f"results/scores/{name}.parquet", "scores")
        for name in ("delta_clip", "image_similarity")
    )
    assert first["sample_id"].tolist() == second["sample_id"].tolist() and len(first) > 3
    assert (first["score"] != second["score"]).any() and second["score"].between(-1, 1).all()


def test_another_score_for_lambda_changes_g_and_what_follows(workflow) -> None:
    workflow.configure({"filtering": {"scores": ["delta_clip", "image_similarity"], "score": "image_similarity"}})
    planned = workflow.planned()
    assert (planned["score_samples"], planned["filter_samples"], planned["train_apprentice"]) == (1, 2, 3)
    assert not {*EXPERTS, "embed_samples"} & set(planned)


def test_an_edited_filter_trains_no_expert_and_embeds_nothing(workflow) -> None:
    workflow.edit("suti/filtering.py", ".to_numpy() > threshold", ".to_numpy() >= threshold")
    planned = workflow.planned()
    assert (planned["score_samples"], planned["filter_samples"], planned["train_apprentice"]) == (1, 2, 3)
    assert not {*EXPERTS, "embed_samples"} & set(planned)


def test_an_unknown_score_is_named_when_the_plan_is_made(workflow) -> None:
    workflow.configure({"filtering": {"scores": ["delta_clip", "beauty"]}})
    output = workflow.snakemake("-n", check=False)
    assert "filtering.scores: 'beauty'" in output and "delta_clip, image_similarity" in output
    assert "Traceback" not in output


def test_other_resamples_judge_and_embed_nothing(workflow) -> None:
    runs = len(list((workflow.path / "results/metrics").glob("*.parquet")))
    workflow.configure({"evaluation": {"bootstrap": 30}})
    planned = workflow.planned()
    assert planned["summarise_metrics"] == runs > 3
    assert set(planned) == {
        "summarise_metrics", "make_table", "plot_lambda_curve", "plot_demonstration_curve", "report_claims",
        "plot_filter_gain",
    }  # fmt: skip


def test_another_formula_of_a_metric_embeds_nothing(workflow) -> None:
    workflow.edit("suti/evaluation/metrics.py", "np.maximum(total, 1)", "np.maximum(1, total)")
    target = "results/metrics/base.parquet"
    assert workflow.planned("--", target) == {"evaluate": 1}
    before = (workflow.path / target).read_bytes()
    workflow.snakemake("--", target)
    assert " 0 embedded" in (workflow.path / "results/logs/evaluate/base.log").read_text()
    assert (workflow.path / target).read_bytes() == before
