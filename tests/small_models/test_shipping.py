"""Shipping an apprentice: half precision, its provenance beside it, and it still draws."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from suti.config.schema import Compute
from suti.generation.studio import load_pipeline
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.pipeline import SuTIPipeline
from tests.tiny import tiny_base

ROOT = Path(__file__).resolve().parents[2]


def ship(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts/ship_models.py"), "--apprentice", str(folder), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""})


def test_an_apprentice_is_shipped_in_half_precision(tmp_path):
    base = tiny_base()
    unet = ApprenticeUNet.from_base(base.unet, initialization="random")
    trained = SuTIPipeline(unet, base.text_encoder, base.tokenizer, base.scheduler, base.vae)
    trained.save_pretrained(tmp_path / "q0.4")
    refused = ship(tmp_path / "q0.4", tmp_path / "shipped")
    assert refused.returncode != 0 and "no provenance.json" in refused.stderr
    record = {"settings": {}, "subjects": 7}
    (tmp_path / "q0.4/provenance.json").write_text(json.dumps(record))
    done = ship(tmp_path / "q0.4", tmp_path / "shipped")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "shipped/apprentice"
    assert json.loads((out / "provenance.json").read_text()) == record
    with safe_open(out / "unet/diffusion_pytorch_model.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    assert not any(str(tmp_path) in path.read_text() for path in out.rglob("*.json"))
    loaded = load_pipeline(out, Compute(device="cpu"))
    assert isinstance(loaded.unet, ApprenticeUNet) and loaded.unet.dtype == loaded.text_encoder.dtype == torch.float32
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    drawn = [
        pipe("a cat", [(picture, "a cat")], num_inference_steps=2, output_type="np",
             generator=torch.Generator().manual_seed(0)).images.astype(int)
        for pipe in (trained, loaded)
    ]  # fmt: skip
    assert np.abs(drawn[0] - drawn[1]).max() <= 3  # rounding of weights to half precision


def test_the_readmes_python_runs_with_the_shipped_apprentice(tmp_path):
    """As it is printed, but for the pictures: the shipped folder holds float16 and is called in float32."""
    readme = (ROOT / "README.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.S) if "from_pretrained" in block)
    call = code.replace('[(image, "a teapot"), ...]', "shown, num_inference_steps=2")
    assert call != code, "the README's example has changed"
    picture = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    names: dict[str, object] = {"shown": [(picture, "a teapot")]}
    exec(call.replace('"resources/', f'"{ROOT}/resources/'), names)
    assert names["picture"].size == (64, 64)
    assert names["pipe"].text_encoder.dtype == names["pipe"].unet.dtype == torch.float32
    half = SuTIPipeline.from_pretrained(ROOT / "resources/models/apprentice", dtype=torch.float16)
    assert half.text_encoder.dtype == half.unet.dtype == torch.float16
