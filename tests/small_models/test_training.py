"""The trainers: the loop resumes exactly, each model trains, saves, loads, and the shipped ones are good."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from suti.config.schema import Compute
from suti.models.encoders import load_image_encoder, load_text_image_encoder
from suti.small_models import captioner, clip, dino, views
from suti.small_models.loop import LoopSettings, train
from suti.small_models.pool import Stream
from suti.small_models.views import draw_views, retrieval
from suti.small_models.vocabulary import build_tokenizer, split_words, vocabulary_words
from suti.world.language import DREAMBENCH_LIVE_TEMPLATES, DREAMBENCH_OBJECT_TEMPLATES, scene_phrase

SHIPPED = Path(__file__).resolve().parents[2] / "resources" / "models"
TWO_STEPS = dict(seed=3, steps=2, learning_rate=1e-3, checkpoint_every=1)


def shipped(name: str) -> Path:
    """Folder of a shipped model; the test is skipped where it has not been trained."""
    if not (SHIPPED / name / "provenance.json").is_file():
        pytest.skip(f"resources/models/{name} is absent; train it with `make models`")
    return SHIPPED / name


# Small batches and pools, and no held-out figures.
SMALL = dict(subjects=4, stream=Stream("few", 0, views=2, block=16), judge=lambda folder, seed: {"seed": seed})


def toy_loss(model: nn.Module, fail_at: int | None = None):
    """Least squares on batches drawn by torch's own generator, which the loop seeds by step."""

    def loss(step: int) -> dict[str, torch.Tensor]:
        if step == fail_at:
            raise KeyboardInterrupt
        x = torch.randn(8, 3)
        return {"loss": ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()}

    return loss


def toy_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    settings = LoopSettings("toy", seed=1, steps=12, learning_rate=1e-2, checkpoint_every=5)
    whole, killed = toy_model(), toy_model()
    train(whole, toy_loss(whole), settings)
    checkpoint = tmp_path / "toy.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(killed, toy_loss(killed, fail_at=8), settings, checkpoint)
    assert checkpoint.is_file()
    resumed = toy_model()
    train(resumed, toy_loss(resumed), settings, checkpoint)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not checkpoint.exists()
    assert not torch.equal(whole[0].weight, toy_model()[0].weight)


def test_a_checkpoint_of_other_settings_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / "toy.safetensors"
    model = toy_model()
    with pytest.raises(KeyboardInterrupt):
        train(model, toy_loss(model, fail_at=4), LoopSettings("toy", 1, 8, 1e-2, checkpoint_every=2), checkpoint)
    train(model, toy_loss(model), LoopSettings("toy", 2, 3, 1e-2), checkpoint)
    assert "other settings" in capsys.readouterr().out


def test_a_damaged_checkpoint_is_named_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, checkpoint = LoopSettings("toy", 1, 8, 1e-2, checkpoint_every=2), tmp_path / "toy.safetensors"
    whole, model = toy_model(), toy_model()
    train(whole, toy_loss(whole), settings)
    with pytest.raises(KeyboardInterrupt):
        train(model, toy_loss(model, fail_at=4), settings, checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    again = toy_model()
    train(again, toy_loss(again), settings, checkpoint)
    assert "toy.safetensors: not a whole checkpoint" in capsys.readouterr().out
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    model = toy_model()
    with pytest.raises(FloatingPointError, match="toy: loss is nan at step 0"):
        train(
            model,
            lambda step: {"loss": model(torch.full((1, 3), torch.nan)).sum()},
            LoopSettings("toy", 0, 2, 0.1),
        )


def test_the_tokenizer_knows_the_prompts_and_survives_saving(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = build_tokenizer()
    assert (
        tokenizer.pad_token_id,
        tokenizer.unk_token_id,
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
    ) == (0, 1, 2, 3)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    prompts = [t.format("cat") for t in (*DREAMBENCH_LIVE_TEMPLATES, *DREAMBENCH_OBJECT_TEMPLATES)]
    for prompt in prompts:
        ids = tokenizer(prompt).input_ids
        assert ids == loaded(prompt).input_ids
        assert 1 not in ids, prompt
        assert loaded.decode(ids, skip_special_tokens=True).lower() == prompt.lower()
    assert 1 in tokenizer("xyzzyplugh").input_ids
    assert split_words("IMG_20 a Cat's") == ["img", "_", "2", "0", "a", "cat", "'", "s"]
    assert len(set(vocabulary_words())) == len(vocabulary_words())


def test_views_are_keyed_and_share_subjects_only_within_a_key() -> None:
    a, b, c = (draw_views("t", key, subjects=3, views=2) for key in (1, 1, 2))
    assert np.array_equal(a.images, b.images)
    assert not np.array_equal(a.images, c.images)
    assert not {s.subject_id for s in a.subjects} & {s.subject_id for s in c.subjects}
    rows = views.pick_subjects(np.random.default_rng(0), a.classes, 3, hard=1.0)
    assert sorted(rows) == [0, 1, 2]


def test_clip_trains_saves_and_loads(tmp_path: Path) -> None:
    settings = LoopSettings("clip", **TWO_STEPS)
    clip.train_clip(settings, tmp_path / "clip", tmp_path / "c.safetensors", tmp_path / "log", **SMALL)
    encoder = load_text_image_encoder(f"open_clip:local-dir:{tmp_path / 'clip'}", Compute())
    z = encoder.embed([np.zeros((64, 48, 3), np.uint8), np.full((32, 32, 3), 200, np.uint8)])
    t = encoder.embed_text(["a cat in the snow", "A Cat in the Snow", "a dog"])
    assert z.shape == (2, 128) and t.shape == (3, 128)
    assert np.allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)
    assert np.allclose(t[0], t[1]) and not np.allclose(t[0], t[2])
    record = json.loads((tmp_path / "clip" / "provenance.json").read_text())
    assert record["held_out"] == {"seed": 3} and record["settings"]["steps"] == 2
    assert json.loads((tmp_path / "log").read_text().splitlines()[-1])["step"] == 2


def test_dino_trains_saves_and_loads(tmp_path: Path) -> None:
    dino.train_dino(LoopSettings("dino", **TWO_STEPS), tmp_path / "dino", **SMALL)
    encoder = load_image_encoder(f"transformers:{tmp_path / 'dino'}", Compute())
    assert encoder.embed([np.zeros((40, 40, 3), np.uint8)]).shape == (1, 192)


def test_captioner_trains_saves_and_loads(tmp_path: Path) -> None:
    from suti.models.captioner import load_captioner

    captioner.train_captioner(LoopSettings("captioner", **TWO_STEPS), tmp_path / "captioner", **SMALL)
    texts = load_captioner(str(tmp_path / "captioner"), Compute()).caption([np.zeros((64, 64, 3), np.uint8)] * 2)
    assert len(texts) == 2 and texts[0] == texts[1]
    assert not any("<" in text for text in texts)


def test_shipped_clip_beats_chance() -> None:
    encoder = load_text_image_encoder(f"open_clip:local-dir:{shipped('clip')}", Compute())
    images, people, scenes = draw_views("test", "clip", subjects=64, views=1).flat()
    texts = [scene_phrase(person, scene) for person, scene in zip(people, scenes, strict=True)]
    scores = encoder.embed(list(images)) @ encoder.embed_text(texts).T
    assert (scores.argmax(1) == np.arange(64)).mean() > 0.5  # chance: 1/64


def test_shipped_clip_tells_pages_apart() -> None:
    encoder = load_image_encoder(f"open_clip:local-dir:{shipped('clip')}", Compute())
    images = draw_views("test", "pages", subjects=16, views=4, size=64).flat()[0]
    z = encoder.embed(list(images)).reshape(16, 4, -1)
    subject, mixed = clip.similarity(z), clip.similarity(z.transpose(1, 0, 2).reshape(16, 4, -1))
    assert np.quantile(subject, 0.25) > np.quantile(mixed, 0.75) + 0.1


def test_shipped_dino_finds_the_subject_among_64() -> None:
    encoder = load_image_encoder(f"transformers:{shipped('dino')}", Compute())
    z = encoder.embed(list(draw_views("test", "dino", subjects=64, views=4).flat()[0])).reshape(64, 4, -1)
    assert retrieval(z[:, :2], z[:, 2:]) > 0.35  # chance: 1/64


def test_shipped_captioner_names_what_it_sees() -> None:
    from suti.models.captioner import load_captioner

    images, people, scenes = draw_views("test", "captions", subjects=64, views=1, size=64).flat()
    texts = load_captioner(str(shipped("captioner")), Compute()).caption(list(images))
    result = captioner.caption_accuracy(texts, people, scenes)
    assert result["in_grammar"] > 0.9
    assert result["accuracy"]["class_name"] > 0.6  # chance: 1/12
    assert result["accuracy"]["background"] > 0.6  # chance: 1/20


def test_shipped_models_are_at_most_45_megabytes() -> None:
    if not SHIPPED.is_dir():
        pytest.skip("no shipped models")
    sizes = [path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(sizes) <= 45 * 2**20
