"""The probe: what it reads in prompts and pictures, its errors, and that the shipped one judges rightly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from suti.small_models import probe as training
from suti.small_models.corruptions import CORRUPTIONS, corrupt
from suti.small_models.loop import LoopSettings
from suti.small_models.pool import Stream
from suti.small_models.probe_network import (
    ATTRIBUTES,
    Probe,
    load_probe,
    share_confirmed,
    stated_attributes,
    true_attributes,
)
from suti.small_models.views import balanced_threshold, draw_views, seeded, to_tensor
from suti.world.language import scene_phrase

SHIPPED = Path(__file__).resolve().parents[2] / "resources" / "models" / "probe"


@pytest.fixture(scope="module")
def shipped() -> Probe:
    if not (SHIPPED / "provenance.json").is_file():
        pytest.skip("resources/models/probe is absent; train it with `make models`")
    return load_probe(SHIPPED)


def test_stated_attributes_are_those_the_prompt_names() -> None:
    assert stated_attributes("a watercolor painting of a red cat wearing a red hat on the beach") == {
        "class_name": "cat",
        "style": "watercolor",
        "colour": "red",
        "accessory": "red_hat",
        "background": "beach",
    }
    assert stated_attributes("a wet dog") == {"class_name": "dog", "effect": "wet"}
    assert share_confirmed({"class_name": "cat", "effect": "wet"}, {"class_name": "cat", "effect": "none"}) == 0.5
    with pytest.raises(ValueError, match="zeppelin"):
        stated_attributes("a zeppelin")


def test_truth_and_prompt_agree_on_every_render() -> None:
    _, people, scenes = draw_views("test", "truth", subjects=40, views=1).flat()
    for person, scene in zip(people, scenes, strict=True):
        truth = true_attributes(person, scene)
        unseen = {"colour", "second_colour"} if scene.style == "pencil_sketch" else set()
        assert set(truth) == set(ATTRIBUTES) - unseen
        for name, value in stated_attributes(scene_phrase(person, scene)).items():
            assert truth[name] == value, (scene_phrase(person, scene), truth)


def test_corruptions_grow_with_severity_and_keep_the_range() -> None:
    x = to_tensor(draw_views("test", "corrupt", subjects=8, views=1).flat()[0])
    for corruption in CORRUPTIONS:
        errors = []
        for severity in (0.1, 0.4, 1.0):
            with seeded("test"):
                y = corruption(x, torch.full((8, 1, 1, 1), severity))
            assert y.shape == x.shape and torch.isfinite(y).all()
            errors.append(float((y - x).abs().mean()))
        assert 0 < errors[0] < errors[1] < errors[2], corruption.__name__
    y, severity = corrupt(x)
    assert y.abs().max() <= 1 and ((severity >= 0.05) & (severity <= 1)).all()


def test_balanced_threshold() -> None:
    cut, accuracy = balanced_threshold(np.array([0.7, 0.8, 0.9]), np.array([0.1, 0.2, 0.6]))
    assert 0.6 < cut < 0.7 and accuracy == 1.0


def test_probe_trains_saves_and_loads(tmp_path: Path) -> None:
    cuts = {"subject": 0.5, "text": 0.9, "realism": 0.4}
    small = dict(subjects=4, stream=Stream("few", 0, views=2, block=16), choose=lambda model, seed: cuts,
                 judge=lambda folder, seed: {})  # fmt: skip
    fakes = np.zeros((3, 64, 64, 3), np.uint8)
    settings = LoopSettings("probe", seed=0, steps=2, learning_rate=1e-3)
    training.train_probe(settings, tmp_path / "probe", fakes=fakes, **small)
    probe = load_probe(tmp_path / "probe")
    assert probe.thresholds == cuts
    picture = np.zeros((64, 64, 3), np.uint8)
    judged = probe.judge([picture, picture], ["a cat", "a dog in the snow"], [[picture], [picture, picture]])
    assert [score.shape for score in judged] == [(2,)] * 3
    assert np.allclose(judged.subject, 1, atol=1e-4)
    assert ((judged.realism >= 0) & (judged.realism <= 1)).all()
    training.train_probe(settings, tmp_path / "further", initial=tmp_path / "probe", **small)
    before, after = (load_probe(tmp_path / name).identity.weight for name in ("probe", "further"))
    assert 0 < (before - after).abs().max() < 0.1  # goes on from the folder, does not start anew


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    probe, picture = Probe().eval(), np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match="1 images, 2 prompts, 1 lists"):
        probe.judge([picture], ["a cat", "a dog"], [[picture]])
    with pytest.raises(ValueError, match="no reference pictures for image 0"):
        probe.judge([picture], ["a cat"], [[]])
    with pytest.raises(FileNotFoundError, match="make models"):
        load_probe(tmp_path / "nothing")
    assert probe.judge([], [], []).text.shape == (0,)


def test_shipped_probe_sees_the_truth(shipped: Probe) -> None:
    images, people, scenes = draw_views("test", "probe", subjects=64, views=1).flat()
    found = shipped.attributes(shipped.look(images))
    truth = [true_attributes(person, scene) for person, scene in zip(people, scenes, strict=True)]
    wanted = {
        "class_name": 0.85,
        "background": 0.85,
        "accessory": 0.7,
        "style": 0.85,
        "colour": 0.6,
        "effect": 0.8,
    }
    for name, least in wanted.items():  # a pencil sketch has no colour to be seen
        right = [row[name] == value for row, value in zip(truth, found[name], strict=True) if name in row]
        assert len(right) > 48 and np.mean(right) >= least, name


def test_shipped_probe_tells_subjects_texts_and_flaws_apart(shipped: Probe) -> None:
    views = draw_views("test", "judge", subjects=24, views=6, recolour=None, effect=None, class_name="teapot")
    images = list(views.images[:, 0])
    own = [list(row[1:]) for row in views.images]
    prompts = [scene_phrase(p, s[0]) for p, s in zip(views.subjects, views.scenes, strict=True)]
    right = shipped.judge(images, prompts, own)
    wrong = shipped.judge(images, prompts[1:] + prompts[:1], own[1:] + own[:1])
    assert right.subject.mean() > wrong.subject.mean() + 0.25
    assert right.text.mean() > wrong.text.mean() + 0.25
    broken, _ = corrupt(to_tensor(np.stack(images)), lowest=0.6)
    pixels = ((broken + 1) * 127.5).round().permute(0, 2, 3, 1).to(torch.uint8).numpy()
    assert right.realism.mean() > shipped.judge(pixels, prompts, own).realism.mean() + 0.3
