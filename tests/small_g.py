"""A G of three subjects with flat pictures, and a trainer of a few thousand weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from suti.apprentice import Subject, Trainer, new_apprentice, train_apprentice
from suti.compute import prepare
from suti.config.schema import Apprentice, Compute
from suti.io import tables
from suti.io.shards import encode_png, write_shard
from suti.models.pipeline import save_base
from tests.tiny import tiny_base

ROOT = Path(__file__).parents[1]
SETTINGS = Apprentice(steps=4, subjects_per_batch=2, targets_per_subject=2, demonstrations=2,
                      warmup_steps=1, checkpoint_every=2, ema_decay=0.9)  # fmt: skip
FP32 = Compute(precision="fp32", device="cpu")
KEYS = [f"{s}{kind}{i}" for s in "abc" for kind in "dt" for i in range(4)]
PICTURES = {k: np.full((16, 16, 3), 10 * i, np.uint8) for i, k in enumerate(KEYS)}
SUBJECTS = [
    Subject(
        s, tuple((f"{s}d{i}", "a cat") for i in range(3)), tuple((f"{s}t{i}", "a cat in the snow") for i in range(n))
    )
    for s, n in (("a", 4), ("b", 1), ("c", 2))
]


def trainer(kind: str = "pixel", compute: Compute = FP32, **changes) -> Trainer:
    base = tiny_base(kind).to(prepare(compute))
    settings = SETTINGS.model_copy(update=changes)
    return Trainer(new_apprentice(base, settings, 0).to(base.device), base, settings, compute, 0)


def run(checkpoints: Path, monitor=None, **changes):
    read = PICTURES.__getitem__
    return train_apprentice(trainer(**changes), SUBJECTS, read, read, checkpoints, monitor)


def killed_and_resumed(checkpoints: Path, monkeypatch, **changes):
    """``run`` again after one that was killed behind the checkpoint of its second step."""
    step = Trainer.train_step

    def dies(self, batch):
        if self.step == 2:
            raise KeyboardInterrupt
        return step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", dies)
        with pytest.raises(KeyboardInterrupt):
            run(checkpoints, **changes)
    assert [p.name for p in checkpoints.iterdir()] == ["step-00000002.safetensors"]
    return run(checkpoints, **changes)


def write_g(folder: Path) -> None:
    """The same G as the files that the script reads, with a base."""
    save_base(tiny_base(), folder / "base")
    samples = [(key, s.subject_id, prompt) for s in SUBJECTS for key, prompt in s.targets]
    table = pd.DataFrame(samples, columns=["sample_id", "subject_id", "prompt"])
    table["prompt_id"], table["expert_id"] = table["sample_id"], "e"
    tables.write(folder / "samples.parquet", "samples", table)
    kept = table[["sample_id", "subject_id", "prompt_id"]].assign(score=0.1)
    tables.write(folder / "filtered.parquet", "filtered", kept)
    shown = [(s.subject_id, key, text) for s in SUBJECTS for key, text in s.demonstrations]
    frame = pd.DataFrame(shown, columns=["subject_id", "image_id", "text"])
    tables.write(folder / "demonstrations.parquet", "demonstrations", frame)
    named = [(s.subject_id, "teal cat", "cat", "grammar", False) for s in SUBJECTS]
    columns = ["subject_id", "description", "class_name", "backend", "fallback"]
    tables.write(folder / "subjects.parquet", "subjects", pd.DataFrame(named, columns=columns))
    write_shard(folder / "pictures.tar", [(f"{k}.png", encode_png(PICTURES[k])) for k, _, _ in samples])
    write_shard(folder / "images.tar", [(f"{k}.png", encode_png(PICTURES[k])) for _, k, _ in shown])


def train_by_script(folder: Path, name: str, **changes) -> subprocess.CompletedProcess[str]:
    """``scripts/train_apprentice.py`` on ``write_g``'s files; the apprentice lies at ``folder / name``."""
    apprentice = SETTINGS.model_copy(update=changes).model_dump(mode="json")
    settings = {"seed": 0, "compute": FP32.model_dump(mode="json"), "models.base": str(folder / "base"),
                "apprentice": apprentice}  # fmt: skip
    files = [f"--{f}={folder}/{f}.parquet" for f in ("filtered", "samples", "demonstrations", "subjects")]
    files += [f"--{f}={folder}/{f}.tar" for f in ("pictures", "images")]
    return subprocess.run(
        [sys.executable, "scripts/train_apprentice.py", "--training-set", "samples", *files,
         "--checkpoints", str(folder / f".{name}"), "--out-dir", str(folder / name),
         "--settings", json.dumps(settings)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=3600,
    )  # fmt: skip
