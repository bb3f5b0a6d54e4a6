"""Re-Imagen: the apprentice's training with clusters in the place of G."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from suti.apprentice.data import Subject, draw_pictures
from suti.apprentice.validation import fixed_views
from suti.baselines.re_imagen import METHODS, ReImagen, draw_re_imagen
from suti.config.schema import Compute
from suti.diffusion.settings import Sampling
from suti.generation.draw import BenchmarkSubject
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.pipeline import SuTIPipeline, load_apprentice
from tests.small_g import FP32, PICTURES, ROOT, SETTINGS, SUBJECTS, write_g
from tests.tiny import tiny_base

OWN = [replace(subject, targets=subject.demonstrations) for subject in SUBJECTS]


@pytest.mark.parametrize(("count", "shown"), [(2, 1), (3, 2), (4, 3), (10, 3)])
def test_no_picture_is_target_and_demonstration(count: int, shown: int) -> None:
    pairs = tuple((f"d{i}", "a cat") for i in range(count))
    subject, seen = Subject("s", pairs, pairs), set()
    for seed in range(40):
        demonstrations, targets = draw_pictures(subject, 3, 4, np.random.default_rng(seed))
        assert len(demonstrations) == 3 and len(targets) == 4
        assert not set(demonstrations) & set(targets) and len(set(demonstrations)) == shown
        assert len(set(targets)) == min(4, count - shown)
        seen |= set(targets)
    assert seen == set(range(count))


def test_g_is_drawn_as_before() -> None:
    """The draws of the apprentice: demonstrations, then targets, of one generator."""
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    found = draw_pictures(SUBJECTS[0], 2, 3, rng)
    assert found[0].tolist() == again.choice(3, 2, replace=False).tolist()
    assert found[1].tolist() == again.choice(4, 3, replace=False).tolist()


def test_half_precision_folders_are_opened_in_single_precision(tmp_path: Path) -> None:
    """As the shipped apprentice is; training and autocast want float32."""
    base = tiny_base()
    apprentice = ApprenticeUNet.from_base(base.unet, "zero")
    pipeline = SuTIPipeline(apprentice, base.text_encoder, base.tokenizer, base.scheduler).to(dtype=torch.float16)
    pipeline.save_pretrained(tmp_path / "half")
    found = load_apprentice(str(tmp_path / "half"))
    kinds = {p.dtype for part in (found.unet, found.text_encoder) for p in part.parameters()}
    assert kinds == {torch.float32} and not any(p.requires_grad for p in found.unet.parameters())
    with pytest.raises(FileNotFoundError, match=r"--model: .*does not exist"):
        load_apprentice(str(tmp_path / "results" / "nowhere"))


def test_validation_shows_other_pictures_than_the_target() -> None:
    views = fixed_views(OWN, PICTURES.__getitem__, PICTURES.__getitem__, 2, 16, 0)
    for number, target in enumerate(views.targets):
        assert all((target != shown).any() for shown in views.demonstrations[2 * number : 2 * number + 2])


def test_the_script_trains_on_clusters_and_the_model_draws(tmp_path: Path) -> None:
    write_g(tmp_path)
    settings = {"seed": 0, "compute": FP32.model_dump(mode="json"), "models.base": str(tmp_path / "base"),
                "apprentice": SETTINGS.model_dump(mode="json"), "baselines.re_imagen.steps": 3}  # fmt: skip
    command = [sys.executable, "scripts/train_apprentice.py", "--settings", json.dumps(settings),
               f"--demonstrations={tmp_path}/demonstrations.parquet", f"--subjects={tmp_path}/subjects.parquet",
               f"--images={tmp_path}/images.tar", f"--checkpoints={tmp_path}/.re",
               f"--out-dir={tmp_path}/re"]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((tmp_path / "re" / "provenance.json").read_text())
    assert (record["subjects"], record["samples"]) == (3, 9)
    base = METHODS["re-imagen"].load(str(tmp_path / "re"))
    subject = BenchmarkSubject(
        "s", "cat", tuple((PICTURES[f"ad{i}"], "a cat") for i in range(3)), (("00", "a cat in the snow"),)
    )
    drawn = draw_re_imagen(base, subject, ReImagen(2), Sampling(2, 2.0, False, 1), Compute(precision="fp32"), 0)
    assert drawn.images.shape == (1, 16, 16, 3) and (drawn.stored_bytes, drawn.optimisation_seconds) == (0, 0)
    half = subprocess.run([*command, "--filtered", "x"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert half.returncode == 2 and "G needs all three" in half.stderr
