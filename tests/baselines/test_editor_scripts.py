"""The scripts that make InstructPix2Pix: a killed one goes on where it was, a damaged chunk is drawn again."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from suti.baselines.instruct_pix2pix import load_instruct_pix2pix
from suti.io import tables
from suti.io.atomic import read_json
from tests.tiny import tiny_base

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SETTINGS = {
    "seed": 0, "compute": {"device": "cpu", "precision": "fp32"}, "models.base": "none/none",
    "filtering.encoder": "none/none", "language.skills": {"recontextualization": 1.0},
    "evaluation.num_inference_steps": 1, "evaluation.guidance_scale": 2.0,
    "evaluation.demonstration_guidance_scale": None, "evaluation.guidance_stop": 0.65,
    "evaluation.dynamic_thresholding": False,
    "evaluation.images_per_prompt": 1, "baselines.instruct_pix2pix.edits": 3, "baselines.instruct_pix2pix.draws": 2,
    **{f"baselines.instruct_pix2pix.min_{name}": -1.0 for name in ("image", "text", "direction")},
    "baselines.instruct_pix2pix.keep": 1, "baselines.instruct_pix2pix.steps": 2,
    "baselines.instruct_pix2pix.batch_size": 2, "baselines.instruct_pix2pix.learning_rate": 1e-3,
    "baselines.instruct_pix2pix.drop": 0.05,
}  # fmt: skip


class Killed(Exception):
    """Stands for a kill between two chunks."""


class AnyClip:
    """Unit vectors that depend on pictures and texts."""

    def embed(self, images: list[np.ndarray]) -> np.ndarray:
        found = np.stack([i.reshape(-1)[:8].astype(float) + 1 for i in images])
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def embed_text(self, texts: list[str]) -> np.ndarray:
        found = np.stack([np.arange(8) + len(t) for t in texts])
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "load_base", lambda spec: tiny_base())
    return script


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, **arguments: object) -> None:
    words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    monkeypatch.setattr(sys, "argv", ["script", "--settings", json.dumps(SETTINGS), *words])
    script.main()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, object]:
    rows = [
        {"subject_id": f"s{i}", "description": f"{c} cat", "class_name": "cat", "backend": "grammar", "fallback": False}
        for i, c in enumerate(("red", "blue"))
    ]
    tables.write(tmp_path / "subjects.parquet", "subjects", rows)
    names = {"subjects": "subjects.parquet", "cache": "cache", "pairs": "pairs.parquet", "images": "pairs.tar"}
    return {name: tmp_path / file for name, file in names.items()} | {"vocabulary": "resources/language/grammar.yaml"}


def test_killed_pairs_go_on_and_an_editor_learns_from_them(
    files: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = load("make_instruction_pairs", monkeypatch)
    monkeypatch.setattr(make, "load_text_image_encoder", lambda spec, compute: AnyClip())
    drawn, inner = [], make.draw_pictures

    def counted(base: object, chunk: list, *rest: object) -> object:
        if len(drawn) == 2:
            raise Killed
        drawn.append([pair.pair_id for pair in chunk])
        return inner(base, chunk, *rest)

    monkeypatch.setattr(make, "draw_pictures", counted)
    with pytest.raises(Killed):
        run(make, monkeypatch, chunk=2, **files)
    assert not Path(str(files["pairs"])).exists()
    kept = sorted((tmp_path / "cache").glob("*/*.tar"))
    assert len(kept) == 2
    kept[0].write_bytes(b"no tar")
    drawn.clear()
    run(make, monkeypatch, chunk=2, **files)
    assert len(drawn) == 2  # the damaged chunk and the one that was missing
    assert not (tmp_path / "cache").exists()
    interrupted = [Path(str(files[name])).read_bytes() for name in ("pairs", "images")]
    drawn.clear()
    monkeypatch.setattr(make, "draw_pictures", inner)
    run(make, monkeypatch, chunk=2, **files)
    assert interrupted == [Path(str(files[name])).read_bytes() for name in ("pairs", "images")]
    assert len(tables.read(files["pairs"], "instruction_pairs")) == 6

    train = load("train_instruct_pix2pix", monkeypatch)
    made = {"pairs": files["pairs"], "images": files["images"], "out": tmp_path / "editor",
            "checkpoint": tmp_path / "c.safetensors", "loss": tmp_path / "loss.jsonl"}  # fmt: skip
    run(train, monkeypatch, **made)
    assert read_json(tmp_path / "editor" / "provenance.json")["pairs"] == 3
    assert load_instruct_pix2pix(str(tmp_path / "editor")).channels == 12
    assert not (tmp_path / "c.safetensors").exists()
