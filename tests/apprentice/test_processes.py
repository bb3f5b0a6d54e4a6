"""Two processes of torchrun train what one trains; the script's folder is whole, and only once written."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from suti.models.pipeline import SuTIPipeline
from tests.small_g import train_by_script, write_g


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("g")
    write_g(place)
    return place


def weights(path):
    return load_file(path / "unet" / "diffusion_pytorch_model.safetensors")


def test_two_processes_equal_one(folder):
    common = {"subjects_per_batch": 5, "sample_every": 2, "steps": 3}  # 5 subjects: the parts are uneven
    one = train_by_script(folder, "one", **common)
    assert one.returncode == 0, one.stderr
    two = train_by_script(folder, "two", processes=2, gradient_accumulation=2, gradient_checkpointing=True, **common)
    assert two.returncode == 0, two.stderr
    assert one.stderr.count("| 0/3 [") == two.stderr.count("| 0/3 [") == 1  # one progress bar, which begins once
    records = [json.loads((folder / name / "provenance.json").read_text()) for name in ("one", "two")]
    assert [r["processes"] for r in records] == [1, 2] and records[0]["settings"] == records[1]["settings"]
    ours, theirs, start = weights(folder / "two"), weights(folder / "one"), load_file(
        folder / "base" / "unet" / "diffusion_pytorch_model.safetensors"
    )  # fmt: skip
    moved = max((theirs[n] - start[n].float()).abs().max().item() for n in start)
    assert moved > 1e-4
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=moved * 1e-3, msg=name)
    for name in ("one", "two"):
        files = {p.relative_to(folder / name).as_posix() for p in (folder / name).rglob("*") if p.is_file()}
        assert {
            "model_index.json",
            "README.md",
            "loss.csv",
            "provenance.json",
            "training/metrics.json",
            "training/loss.png",
            "training/samples/step-000002.png",
            "training/samples/step-000003.png",
        } <= files
        assert not (folder / f".{name}").exists()
    card = (folder / "two" / "README.md").read_text()
    assert "| `subjects_per_batch` | 5 |" in card and "- subjects: 3" in card
    assert SuTIPipeline.from_pretrained(folder / "two").unet.config.demonstration_initialization == "self_attention"


def test_a_failing_run_of_two_ends_and_leaves_no_model(folder):
    failed = train_by_script(folder, "failed", processes=2, subjects_per_batch=2, learning_rate=1e30,
                             new_layer_learning_rate=1e30)  # fmt: skip
    assert failed.returncode != 0 and "lower apprentice.learning_rate" in failed.stderr
    assert not (folder / "failed").exists()
