"""The oracle on DreamBench's photos with real encoders, which the project does not ship."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from suti.benchmark.dreambench import CLASSES
from suti.cli.main import main

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SUTI_SHARED", ROOT.parent / "shared"))
WEIGHTS = Path(os.environ.get("SUTI_WEIGHTS", ROOT / "weights"))
MEASURED = {"clip_i": ("clip-vit-base-patch16-image", 0.871), "dinov2": ("dinov2-small", 0.685)}


@pytest.fixture
def photos() -> Path:
    folder = SHARED / "data" / "dreambench" / "dataset"
    if not folder.is_dir():
        pytest.skip(f"no real photos: {folder} does not exist (SUTI_SHARED names another folder)")
    return folder


def test_real_photos_of_a_subject_are_as_alike_as_was_measured(photos: Path, tmp_path: Path) -> None:
    for folder, _ in MEASURED.values():
        if not (WEIGHTS / folder / "COMPLETE").exists():
            pytest.skip(f"no real weights: {WEIGHTS / folder} is absent (SUTI_WEIGHTS names another folder)")
    out = tmp_path / "oracle.json"
    encoders = [f"{name}=transformers:{WEIGHTS / folder}" for name, (folder, _) in MEASURED.items()]
    arguments = [
        "--references",
        str(photos),
        "--encoders",
        *encoders,
        "--out",
        str(out),
        "--cache",
        str(tmp_path / "c"),
    ]
    assert main(["oracle", *arguments]) == 0
    found = json.loads(out.read_text())
    for name, (_, mean) in MEASURED.items():
        assert found[name]["mean"] == pytest.approx(mean, abs=0.003)
        assert (found[name]["n"], found[name]["n_images"]) == (30, 158)
        assert found[name]["low"] < found[name]["mean"] < found[name]["high"]


def test_dreambenchs_prompts_are_its_750(photos: Path, tmp_path: Path) -> None:
    assert main(["prompts", "--benchmark", "dreambench", "--path", str(photos), "--out", str(tmp_path / "p.csv")]) == 0
    with (tmp_path / "p.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 750 and len({(row["subject"], row["prompt"]) for row in rows}) == 750
    assert rows[0] == {"subject": "backpack", "class": "backpack", "prompt": "a backpack in the jungle"}
    assert {row["subject"]: row["class"] for row in rows} == dict(CLASSES)


def test_dreambench_v2_is_read(tmp_path: Path) -> None:
    file = SHARED / "data" / "dreambench_v2" / "prompts.csv"
    if not file.is_file():
        pytest.skip(f"no prompts of DreamBench-v2: {file} does not exist (SUTI_SHARED names another folder)")
    arguments = ["--benchmark", "dreambench-v2", "--path", str(file), "--out", str(tmp_path / "p.csv")]
    assert main(["prompts", *arguments]) == 0
    with (tmp_path / "p.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 175 and {row["subject"] for row in rows} == set(CLASSES)
    assert all(row["class"] == CLASSES[row["subject"]] for row in rows)
