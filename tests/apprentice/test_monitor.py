"""What can be watched during a training: files, right and wrong demonstrations, and that watching changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from suti.apprentice.validation import averaged_weights, conditions, fixed_views, samples, validation_losses
from suti.digests import sources
from suti.figures.training import Monitor
from tests.small_g import PICTURES, SUBJECTS, run, trainer

READ = PICTURES.__getitem__


def monitor(folder, held_out=False) -> Monitor:
    return Monitor(folder, SUBJECTS, READ, READ, held_out)


def views(size: int = 16):
    return fixed_views(SUBJECTS, READ, READ, 2, size, 0)


def test_watching_changes_no_weight_and_leaves_its_files(tmp_path):
    plain = run(tmp_path / "a", steps=12)
    state = torch.random.get_rng_state()  # each run seeds it when it makes its base
    watched = run(tmp_path / "b", monitor(tmp_path / "w"), steps=12, sample_every=5)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, watched.state_dict()[name]), name
    assert torch.equal(torch.random.get_rng_state(), state)
    folder = tmp_path / "w"
    assert sorted(p.name for p in (folder / "samples").iterdir()) == [f"step-{s:06d}.png" for s in (5, 10, 12)]
    with Image.open(folder / "samples" / "step-000012.png") as sheet:
        assert sheet.size[0] > 6 * 128 and sheet.size[1] > 3 * 128
    table = pd.read_csv(folder / "validation.csv")
    assert table["step"].tolist() == [5, 10, 12] and list(table) == ["step", "right", "wrong", "none"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["step"] == 12 and metrics["validation"]["right"] == pytest.approx(table["right"].iloc[-1], rel=1e-5)
    lines = (folder / "plots" / "metrics" / "train" / "loss.tsv").read_text().split()
    assert lines[::2] == ["step", "10"]
    assert (folder / "loss.png").stat().st_size > 5000


def test_a_run_that_goes_on_has_the_metrics_of_an_undisturbed_one(tmp_path):
    settings = {"steps": 8, "sample_every": 2, "checkpoint_every": 4}
    run(tmp_path / "a", monitor(tmp_path / "whole"), **settings)
    stopped = monitor(tmp_path / "parts")

    def dies(now):
        stopped(now)
        if now.step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", dies, **settings)
    run(tmp_path / "b", monitor(tmp_path / "parts"), **settings)
    for file in ("validation.csv", "plots/metrics/validation/right.tsv", "samples/step-000008.png", "loss.png"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes(), file


@pytest.mark.parametrize("kind", ["pixel", "latent", "if"])
def test_losses_and_samples_under_right_wrong_and_no_demonstrations(kind):
    now = trainer(kind, initialization="random")
    losses = validation_losses(now, views(now.base.image_size))
    assert len(set(losses.values())) == 3 and all(np.isfinite(v) for v in losses.values())
    assert validation_losses(now, views(now.base.image_size)) == losses
    drawn = samples(now, views(now.base.image_size))
    assert list(drawn) == ["right", "wrong", "none"]
    side = now.base.image_size
    assert all(x.shape == (3, side, side, 3) and x.dtype == np.uint8 for x in drawn.values())
    assert not np.array_equal(drawn["right"], drawn["wrong"])


def test_wrong_demonstrations_are_those_of_the_next_subject():
    now = trainer(initialization="random")
    shown = conditions(now, views())
    for name, (keys, values) in shown["right"].keys_values.items():
        others = shown["wrong"].keys_values[name]
        assert torch.equal(others[0][1], keys[0]) and torch.equal(others[1][0], values[2])
    assert shown["none"] is None


def test_at_the_start_all_demonstrations_are_alike():
    losses = validation_losses(trainer(), views())
    assert losses["right"] == losses["wrong"] == pytest.approx(losses["none"], rel=1e-6)


def test_what_watches_is_no_part_of_the_code_behind_the_weights():
    root = Path(__file__).parents[2]
    names = {path.relative_to(root).as_posix() for path in sources("scripts/train_apprentice.py", root)}
    assert "suti/apprentice/trainer.py" in names and "suti/figures/training.py" not in names
    assert not any(name.startswith("suti/figures") for name in names)


def test_averaged_weights_are_taken_back():
    now = trainer()
    with torch.no_grad():
        for p in now.unet.parameters():
            p.add_(0.1)
    before = [p.clone() for p in now.unet.parameters()]
    with averaged_weights(now) as _:
        assert not any(torch.equal(a, b) for a, b in zip(before, now.unet.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, now.unet.parameters(), strict=True))
    assert now.unet.training
