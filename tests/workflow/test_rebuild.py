"""A run rebuilds what changed and nothing else."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from suti.io import tables
from suti.io.shards import write_shard

pytestmark = pytest.mark.workflow

UPSTREAM = {"ingest_pages", "mine_clusters", "caption_images", "write_prompts", "train_experts"}


def files_of(root: Path) -> list[Path]:
    return [p for p in root.rglob("*") if p.is_file() and ".snakemake" not in p.parts]


def test_second_run_has_nothing_to_do(finished) -> None:
    assert finished.planned() == {}


def test_overlay_on_the_command_line_is_the_same_configuration(workflow) -> None:
    (workflow.path / "small.yaml").write_text((workflow.path / "config.yaml").read_text())
    workflow.configure({"experts": {"steps": 99}, "seed": 5})
    assert workflow.planned("--configfile", "config.yaml", "small.yaml") == {}
    assert "train_experts" in workflow.planned()


def test_touching_every_file_reruns_nothing(workflow) -> None:
    paths = files_of(workflow.path)
    random.Random(0).shuffle(paths)
    for path in paths:
        os.utime(path)
    assert "Nothing to be done" in workflow.snakemake()


def test_comment_in_a_module_reruns_nothing(workflow) -> None:
    for module in ("suti/seeds.py", "suti/models/__init__.py", "suti/io/tables.py"):
        path = workflow.path / module
        path.write_text(path.read_text() + "\n# one more comment\n")
    assert workflow.planned() == {}


def test_threads_and_device_rerun_nothing(workflow) -> None:
    workflow.configure({"compute": {"threads": 2, "device": "cpu"}, "experts": {"keep": True}})
    assert workflow.planned() == {}


def test_a_setting_more_and_the_words_of_its_help_rerun_nothing(workflow) -> None:
    schema = "suti/config/schema.py"
    for section in ("Compute", "Experts", "Apprentice", "Evaluation"):
        head = next(line for line in (workflow.path / schema).read_text().splitlines() if f"class {section}(" in line)
        field = '    a_new_setting: Positive = Field(7, description="what it means")\n'
        workflow.edit(schema, f"{head}\n", f"{head}\n{field}")
        workflow.configure({section.lower(): {"a_new_setting": 7}})
    workflow.edit(schema, "optimiser steps (paper: 500)", "steps of the optimiser (the paper takes 500)")
    config = (workflow.path / "config.yaml").read_text()
    assert "docs/configuration.md" in workflow.call(sys.executable, "-m", "suti.cli.main", "config", "--write")
    (workflow.path / "config.yaml").write_text(config)
    assert workflow.planned() == {}


def test_other_words_of_help_progress_and_messages_rerun_nothing(workflow) -> None:
    workflow.edit("scripts/train_experts.py", "at once", "together")
    workflow.edit("scripts/train_experts.py", " dropped {", " were dropped {")
    workflow.edit("scripts/mine_clusters.py", "shard of the part's pictures", "pictures of the part")
    workflow.edit("suti/experts/progress.py", "LAYOUT = ", 'LAYOUT = "at work: " + ')
    workflow.edit("suti/mining/ingest.py", '"""', '"""Of pages. ')
    assert workflow.planned() == {}


def test_a_column_more_reruns_what_reads_or_writes_its_table(workflow) -> None:
    column = '\n        ("aesthetic", "float64", "how it looks", True),'
    workflow.edit("suti/io/tables.py", '"image_metrics": _columns(', f'"image_metrics": _columns({column}')
    planned = set(workflow.planned())
    assert {"evaluate", "make_table", "plot_lambda_curve", "report_claims"} <= planned
    made = {"prepare_benchmark", "generate_base", "generate_suti", "personalize", "train_apprentice", "filter_samples"}
    assert not planned & {*UPSTREAM, *made}
    workflow.edit("suti/io/tables.py", '"captions": _columns(', f'"captions": _columns({column}')
    planned = set(workflow.planned())
    assert {"caption_images", "refine_subjects", "write_prompts"} <= planned
    assert not planned & {"ingest_pages", "mine_clusters", "prepare_benchmark", "generate_base"}


def test_apprentice_code_reruns_nothing_upstream(workflow) -> None:
    script = workflow.path / "scripts" / "train_apprentice.py"
    script.write_text(script.read_text() + "\nUNUSED = 1\n")
    planned = workflow.planned()
    assert planned["train_apprentice"] == 3
    assert not UPSTREAM & set(planned) and not {"filter_samples", "generate_base"} & set(planned)


def test_a_systems_setting_or_code_reruns_that_system_alone(workflow) -> None:
    workflow.configure({"baselines": {"textual_inversion": {"steps": 3}}})
    planned = workflow.planned()
    assert (planned["personalize"], planned["evaluate"]) == (1, 1)
    assert not {*UPSTREAM, "train_apprentice", "train_without_experts", "generate_suti"} & set(planned)
    workflow.configure({"baselines": {"textual_inversion": {"steps": 2}}})
    module = workflow.path / "suti" / "baselines" / "textual_inversion.py"
    module.write_text(module.read_text() + "\nUNUSED = 1\n")
    assert workflow.planned()["personalize"] == 1
    workflow.configure({"baselines": {"re_imagen": {"steps": 1}}})
    planned = workflow.planned()
    assert (planned["train_without_experts"], planned["personalize"]) == (1, 2) and "train_apprentice" not in planned


def test_the_editor_is_trained_anew_without_drawing_its_pairs_anew(workflow) -> None:
    workflow.configure({"baselines": {"instruct_pix2pix": {"steps": 1}}})
    planned = workflow.planned()
    assert (planned["train_instruct_pix2pix"], planned["personalize"]) == (1, 1)
    assert not {*UPSTREAM, "make_instruction_pairs", "train_apprentice"} & set(planned)
    workflow.configure({"baselines": {"instruct_pix2pix": {"steps": 2, "image_guidance_scale": 1.0}}})
    planned = workflow.planned()
    assert planned["personalize"] == 1 and "train_instruct_pix2pix" not in planned


def test_a_systems_model_and_cache_are_not_needed_once_it_has_drawn(workflow) -> None:
    """So DVC need not keep them: after a pull there is nothing to do."""
    shutil.rmtree(workflow.path / "results" / "baselines")
    assert workflow.planned() == {}


def test_a_system_can_be_left_out(workflow) -> None:
    workflow.configure({"baselines": {"systems": ["dreambooth"]}})
    assert set(workflow.planned()) == {"make_table", "plot_samples", "report_claims"}


def test_new_lambda_makes_only_its_own(workflow) -> None:
    workflow.configure({"filtering": {"grid": ["none", "q0.4", "q0.6"]}})
    before = {p: p.stat().st_mtime_ns for p in files_of(workflow.path / "results")}
    assert workflow.planned() == {
        "filter_samples": 1,
        "train_apprentice": 1,
        "generate_suti": 1,
        "evaluate": 1,
        "summarise_metrics": 1,
        "plot_deltas": 1,
        "plot_lambda_curve": 1,
        "plot_samples": 1,
        "report_claims": 1,
    }
    workflow.snakemake()
    written = [
        path.relative_to(workflow.path / "results").as_posix()
        for path in files_of(workflow.path / "results")
        if before.get(path) != path.stat().st_mtime_ns
    ]
    made = {
        name for name in written if not name.startswith(("logs/", "benchmarks/", "figures/", "claims", "tables/claims"))
    }
    drawn = {name for name in made if name.startswith("generations/cache/")}
    assert len(drawn) == 2, "the two subjects of the new run"
    assert made - drawn and all("q0.6" in name for name in made - drawn)
    assert workflow.planned() == {}


def test_one_more_picture_retrains_one_expert(workflow) -> None:
    results = workflow.path / "results"
    before, cached = experts(results), cache(results)
    subject = add_picture(results)
    workflow.snakemake("experts")
    after = experts(results)
    assert set(after) == set(before)
    assert {s for s in after if after[s] != before[s]} == {subject}
    assert {p for p, time in cache(results).items() if cached.get(p) != time} == {after[subject]}


def cache(results: Path) -> dict[str, int]:
    """When what is left of each expert was written, by its content address."""
    return {p.stem: p.stat().st_mtime_ns for p in (results / "experts" / "cache").rglob("*.tar")}


def experts(results: Path) -> dict[str, str]:
    """Content address of each subject's expert."""
    log = tables.read_all(sorted(results.glob("experts/log-*.parquet")), "expert_log")
    return dict(zip(log["subject_id"], log["expert_id"], strict=True))


def add_picture(results: Path) -> str:
    """Put one more picture, nearly another of the page, on a kept cluster's page. Gives the cluster's id."""
    clusters = tables.read_all(sorted(results.glob("mining/clusters-*.parquet")), "clusters")
    kept = clusters[(clusters["status"] == "kept") & (clusters["images"] < 10)].iloc[0]
    shard = results / "world" / "pages-0.tar"
    with tarfile.open(shard) as tar:
        members = [(member.name, tar.extractfile(member).read()) for member in tar]
    facts = {name: json.loads(data) for name, data in members if name.endswith(".json")}
    last = max(name for name, page in facts.items() if page["page_url"] == kept["page_url"])
    stem = last.removesuffix(".json")
    picture = next(data for name, data in members if name == f"{stem}.jpg")
    buffer = io.BytesIO()
    ImageOps.mirror(Image.open(io.BytesIO(picture))).save(buffer, format="PNG")
    page = facts[last] | {"image_url": f"{kept['page_url']}/added.png"}
    added = [(f"{stem}z.png", buffer.getvalue()), (f"{stem}z.json", json.dumps(page).encode())]
    place = 1 + max(i for i, (name, _) in enumerate(members) if name.startswith(f"{stem}."))
    write_shard(shard, [*members[:place], *added, *members[place:]])
    return str(kept["cluster_id"])
