"""A run rebuilds what changed and nothing else."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from suti import tables

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
    for module in ("suti/seeds.py", "suti/models/__init__.py", "suti/tables.py"):
        path = workflow.path / module
        path.write_text(path.read_text() + "\n# one more comment\n")
    assert workflow.planned() == {}


def test_threads_and_device_rerun_nothing(workflow) -> None:
    workflow.configure({"compute": {"threads": 2, "device": "cpu"}, "experts": {"keep": True}})
    assert workflow.planned() == {}


def test_apprentice_code_reruns_nothing_upstream(workflow) -> None:
    script = workflow.path / "scripts" / "train_apprentice.py"
    script.write_text(script.read_text() + "\nUNUSED = 1\n")
    planned = workflow.planned()
    assert planned["train_apprentice"] == 2
    assert not UPSTREAM & set(planned) and not {"filter_samples", "generate_base"} & set(planned)


def test_new_lambda_makes_only_its_own(workflow) -> None:
    workflow.configure({"filtering": {"grid": ["none", "q0.4", "q0.6"]}})
    before = {p: p.stat().st_mtime_ns for p in files_of(workflow.path / "results")}
    assert workflow.planned() == {
        "filter_samples": 1,
        "train_apprentice": 1,
        "generate_suti": 1,
        "evaluate": 1,
        "plot_deltas": 1,
        "plot_lambda_curve": 1,
        "plot_samples": 1,
    }
    workflow.snakemake()
    written = [
        path.relative_to(workflow.path / "results").as_posix()
        for path in files_of(workflow.path / "results")
        if before.get(path) != path.stat().st_mtime_ns
    ]
    made = {name for name in written if not name.startswith(("logs/", "benchmarks/", "figures/"))}
    assert made and all("q0.6" in name for name in made)
    assert workflow.planned() == {}


def test_one_more_picture_retrains_one_expert(workflow) -> None:
    results = workflow.path / "results"
    before = experts(results)
    subject = add_picture(results)
    workflow.snakemake("experts")
    after = experts(results)
    assert set(after) == set(before)
    assert {s for s in after if after[s] != before[s]} == {subject}


def experts(results: Path) -> dict[str, str]:
    """Content address of each subject's expert."""
    log = tables.read_all(sorted(results.glob("experts/log-*.parquet")), "expert_log")
    return dict(zip(log["subject_id"], log["expert_id"], strict=True))


def add_picture(results: Path) -> str:
    """Put one more picture, nearly another of the page, on a kept cluster's page. Gives the cluster's id."""
    cluster = tables.read_all(sorted(results.glob("mining/clusters-*.parquet")), "clusters")
    kept = cluster[(cluster["status"] == "kept") & (cluster["images"] < 10)].iloc[0]
    for shard in sorted((results / "world").glob("pages-*.tar")):
        with tarfile.open(shard) as tar:
            members = [(m.name, tar.extractfile(m).read()) for m in tar if m.isfile()]
        pages = {n: json.loads(d) for n, d in members if n.endswith(".json")}
        mine = [n for n, page in pages.items() if page["page_url"] == kept["page_url"]]
        if not mine:
            continue
        stem = mine[0].removesuffix(".json")
        name, data = next((n, d) for n, d in members if n != mine[0] and n.rsplit(".", 1)[0] == stem)
        picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
        buffer = io.BytesIO()
        Image.fromarray(np.clip(picture + 3, 0, 255).astype(np.uint8)).save(buffer, format="PNG")
        position = 1 + max(pages[n]["position"] for n in mine)
        page = pages[mine[0]] | {"position": position, "image_url": f"{kept['page_url']}/added.png"}
        added = [(f"{stem}-added.png", buffer.getvalue()), (f"{stem}-added.json", json.dumps(page).encode())]
        place = 1 + max(i for i, (n, _) in enumerate(members) if n in mine or n == name)
        part = shard.with_suffix(".part")
        with tarfile.open(part, "w") as tar:
            for member, content in [*members[:place], *added, *members[place:]]:
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        shutil.move(part, shard)
        return str(kept["cluster_id"])
    raise AssertionError(f"page {kept['page_url']} is in no shard")
