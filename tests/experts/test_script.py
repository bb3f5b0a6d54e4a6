"""The script of a shard: groups, resume after a kill, kept weights."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from suti.experts.batched.memory import Fit
from suti.io import tables
from suti.io.shards import encode_png, write_shard
from tests.experts.test_experts import pictures
from tests.tiny import tiny_base

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_experts.py"
SUBJECTS = [f"s{i}" for i in range(5)]


class Killed(Exception):
    """Stands for a kill between two groups."""


class Shard:
    """A shard of five subjects in a folder, and the script that trains it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.groups, self.patience = folder, [], 9
        spec = importlib.util.spec_from_file_location("train_experts", SCRIPT)
        self.script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.script)
        self.monkeypatch = monkeypatch
        inner = self.script.run_experts

        def counted(tasks, *rest):
            if len(self.groups) == self.patience:
                raise Killed
            self.groups.append([task.subject_id for task in tasks])
            return inner(tasks, *rest)

        monkeypatch.setattr(self.script, "run_experts", counted)
        monkeypatch.setattr(self.script, "load_base", lambda spec: tiny_base())
        monkeypatch.setattr(self.script, "fit_machine", lambda *_: Fit(2, 1))
        shown, asked, images = [], [], []
        for number, subject in enumerate(SUBJECTS):
            for i, picture in enumerate(pictures(seed=number)):
                shown.append({"subject_id": subject, "image_id": f"{subject}-{i}", "text": "a cat"})
                images.append((f"{subject}-{i}.png", encode_png(picture)))
            asked.append({"subject_id": subject, "prompt_id": f"p{subject}", "prompt": "a red cat",
                          "skill": "recontextualization", "backend": "grammar", "fallback": False})  # fmt: skip
        tables.write(folder / "demonstrations.parquet", "demonstrations", shown)
        tables.write(folder / "prompts.parquet", "prompts", asked)
        write_shard(folder / "images.tar", images)

    def run(self, keep: bool = False, patience: int = 9) -> dict[str, bytes]:
        """Run the script; ``patience``: groups until it is killed. Returns the written files."""
        self.groups, self.patience = [], patience
        experts = {"method": "lora", "lora_rank": 2, "steps": 1, "batch_size": 1, "num_inference_steps": 1,
                   "keep": keep}  # fmt: skip
        settings = {
            "seed": 0,
            "compute": {"device": "cpu", "precision": "fp32"},
            "models.base": "none/none",
            "experts": experts,
        }
        where = {"demonstrations": "demonstrations.parquet", "prompts": "prompts.parquet", "images": "images.tar",
                 "cache": "cache", "kept": "kept", "pictures": "out.tar", "samples": "samples.parquet",
                 "log-table": "log.parquet"}  # fmt: skip
        words = [word for name, file in where.items() for word in (f"--{name}", str(self.folder / file))]
        self.monkeypatch.setattr(sys, "argv", ["train_experts.py", "--settings", json.dumps(settings), *words])
        self.script.main()
        return {name: (self.folder / name).read_bytes() for name in ("out.tar", "samples.parquet", "log.parquet")}


@pytest.fixture
def shard(tmp_path, monkeypatch) -> Shard:
    return Shard(tmp_path, monkeypatch)


def test_a_killed_shard_goes_on_where_it_was(shard):
    with pytest.raises(Killed):
        shard.run(patience=1)
    assert shard.groups == [["s0", "s1"]]
    files = shard.run()
    assert shard.groups == [["s2", "s3"], ["s4"]]
    log = tables.read(shard.folder / "log.parquet", "expert_log")
    assert list(log["subject_id"]) == SUBJECTS and set(log["status"]) == {"ok"}
    assert shard.run() == files and shard.groups == []


def test_weights_are_kept_when_asked_for_even_of_experts_that_the_cache_knows(shard):
    files = shard.run()
    assert not (shard.folder / "kept").exists()
    assert shard.run(keep=True) == files and len(shard.groups) == 3
    assert sorted(p.name for p in (shard.folder / "kept").iterdir()) == SUBJECTS
    shard.run(keep=True)
    assert shard.groups == []
