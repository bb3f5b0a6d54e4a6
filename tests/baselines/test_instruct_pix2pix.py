"""InstructPix2Pix: instructions, pairs and their filter, the wider UNet, its training, two guidance weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import StableDiffusionInstructPix2PixPipeline

from suti.baselines.instruct_pix2pix import (
    EditingModel,
    InstructPix2Pix,
    draw_instruct_pix2pix,
    edit,
    editing_model,
    editing_set,
    load_instruct_pix2pix,
    save_instruct_pix2pix,
    train_instruct_pix2pix,
)
from suti.baselines.instruction_pairs import Pair, chosen_pairs, draw_pictures, plan_pairs, score
from suti.config.schema import Compute, Language
from suti.config.values import SINGLE, SKILLS
from suti.diffusion.sampling import sampling_scheduler
from suti.diffusion.settings import Sampling
from suti.generation.draw import BenchmarkSubject
from suti.language.instructions import Edit, edits, instruction_of
from suti.language.lexicon import load
from suti.language.schema import Description
from suti.seeds import torch_generator
from suti.small_models.loop import LoopSettings
from tests.tiny import tiny_base

FP32 = Compute(precision="fp32", device="cpu")
SAMPLING = Sampling(2, 3.0, False, 2)
PICTURES = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
SUBJECTS = pd.DataFrame(
    [(f"s{i}", f"{c} cat", "cat", "grammar", False) for i, c in enumerate(("red", "blue", "teal"))],
    columns=["subject_id", "description", "class_name", "backend", "fallback"],
)


@pytest.mark.parametrize(
    ("prompt", "instruction"),
    [
        ("a teapot in the snow", "make it in the snow"),
        ("a red teapot", "make it red"),
        ("a cube shaped teapot", "make it cube shaped"),
        ("a pencil sketch of a teapot", "make it a pencil sketch"),
        ("An oil painting of the Teapot on a table", "make it An oil painting on a table"),
        ("a teapot", "make it a teapot"),
        ("a teapots' museum", "make it a teapots' museum"),
        ("something else", "make it something else"),
    ],
)
def test_instruction_of_a_prompt(prompt: str, instruction: str) -> None:
    assert instruction_of(prompt, "teapot") == instruction


def test_edits_change_one_thing() -> None:
    lexicon = load()
    found = list(edits(Description("red striped teapot", "teapot"), dict.fromkeys(SKILLS, 1.0), 40, lexicon, 0, "x"))
    assert {e.skill for e in found} == set(SINGLE), "an edit asks for one thing"
    for e in found:
        assert e.source.startswith("a red striped teapot ") and e.source != e.target
        scene = e.source.removeprefix("a red striped teapot ")
        assert (scene in e.target) == (e.skill != "recontextualization")
        assert "teapot" not in e.instruction
        if e.skill in ("recontextualization", "accessorization"):
            assert e.instruction.removeprefix("make it ") in e.target
        assert e.instruction != "make it red"  # it is red
    assert found == list(
        edits(Description("red striped teapot", "teapot"), dict.fromkeys(SKILLS, 1.0), 40, lexicon, 0, "x")
    )


def test_fewer_pairs_are_some_of_more() -> None:
    skills, lexicon = Language().skills, load()
    many = plan_pairs(SUBJECTS, skills, 6, 3, lexicon, 0)
    assert len(many) == 18 and len({p.pair_id for p in many}) == 18 and len({p.edit_id for p in many}) == 6
    assert all(0.1 <= p.share <= 0.9 for p in many)
    fewer = plan_pairs(SUBJECTS, skills, 2, 2, lexicon, 0)
    assert {p.pair_id for p in fewer} < {p.pair_id for p in many}
    with pytest.raises(ValueError, match="no subjects"):
        plan_pairs(SUBJECTS[:0], skills, 4, 2, lexicon, 0)


def test_pairs_share_their_noise_and_do_not_see_each_other() -> None:
    base = tiny_base()
    same = Edit("a cat in the snow", "make it in the snow", "a cat in the snow", "recontextualization")
    other = replace(same, target="a dog on the beach")
    pairs = [Pair("0", "0", same, 0.5), Pair("1", "1", other, 0.5)]
    before, after = draw_pictures(base, pairs, SAMPLING, FP32, 0)
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[1] != after[1]).any()
    alone = draw_pictures(base, pairs[1:], SAMPLING, FP32, 0)
    assert max(abs(a[0].astype(int) - b[1]).max() for a, b in zip(alone, (before, after), strict=True)) <= 1


class Plane:
    """A CLIP of two dimensions: a picture is its first two channels' means, a text what a table says."""

    name = "plane"

    def embed(self, images: list[np.ndarray], batch_size: int = 64) -> np.ndarray:
        found = np.stack([i[..., :2].mean((0, 1)) for i in images])
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def embed_text(self, texts: list[str], batch_size: int = 64) -> np.ndarray:
        return np.array([{"source": (1.0, 0.0), "target": (0.0, 1.0)}[t] for t in texts])


def test_scores_by_hand() -> None:
    """The first picture lies at 0 degrees; the second at 90, at 0, and at 45."""
    pair = Pair("p", "p", Edit("source", "make it", "target", "art_style"), 0.5)
    colours = [(100, 0, 0), (0, 100, 0), (100, 0, 0), (100, 100, 0)]
    first, *others = (np.full((2, 2, 3), c, np.uint8) for c in colours)
    rows = list(score([pair] * 3, np.stack([first] * 3), np.stack(others), Plane()))
    assert [row["clip_source"] for row in rows] == pytest.approx([1, 1, 1])
    assert [row["clip_target"] for row in rows] == pytest.approx([1, 0, 0.5**0.5])
    assert [row["clip_image"] for row in rows] == pytest.approx([0, 1, 0.5**0.5])
    # From (1, 0) to (1, 1) / sqrt 2, against from (1, 0) to (0, 1): cosine of 22.5 degrees.
    assert [row["clip_direction"] for row in rows] == pytest.approx([1, 0, np.cos(np.pi / 8)])


def test_the_filter() -> None:
    table = pd.DataFrame(
        [("a0", "a", 0.9, 0.3, 0.3, 0.5), ("a1", "a", 0.9, 0.3, 0.3, 0.7), ("a2", "a", 0.7, 0.3, 0.3, 0.9),
         ("b0", "b", 0.8, 0.1, 0.3, 0.9), ("b1", "b", 0.8, 0.3, 0.1, 0.9), ("c0", "c", 0.75, 0.2, 0.2, 0.2)],
        columns=["pair_id", "edit_id", "clip_image", "clip_source", "clip_target", "clip_direction"],
    )  # fmt: skip
    assert list(chosen_pairs(table, 0.75, 0.2, 0.2, 4)["pair_id"]) == ["a0", "a1", "c0"]
    assert list(chosen_pairs(table, 0.75, 0.2, 0.2, 1)["pair_id"]) == ["a1", "c0"]
    with pytest.raises(ValueError, match=r"no pair of 6 passes .*min_image 0\.95.*'image': 0\.9"):
        chosen_pairs(table, 0.95, 0.2, 0.2, 1)


@pytest.mark.parametrize("kind", ["pixel", "latent"])
def test_it_starts_as_the_base(kind: str) -> None:
    base = tiny_base(kind)
    model = editing_model(base)
    x, picture = torch.randn(2, 2, model.channels, 8, 8, generator=torch.Generator().manual_seed(0))
    text, t = base.encode(["a cat", ""]).hidden_states, torch.tensor([10, 900])
    with torch.no_grad():
        assert torch.allclose(
            model.unet(torch.cat([x, picture], 1), t, text).sample, base.unet(x, t, text).sample, atol=1e-6
        )
    assert model.codec.factor == base.codec.factor and model.image_size == base.image_size
    assert base.unet.config.in_channels == model.channels


def trained(base_kind: str, **settings: object) -> tuple[EditingModel, list[float]]:
    model = editing_model(tiny_base(base_kind))
    data = editing_set(model, list(PICTURES[:2]), list(PICTURES[2:]), ["make it red", "make it wet"])
    losses: list[float] = []
    model.unet.conv_in.register_forward_pre_hook(
        lambda _, inputs: losses.append(float(inputs[0][:, model.channels :].abs().flatten(1).amax(1).gt(0).sum()))
    )
    chosen = LoopSettings("x", 0, 4, 1e-2, ema_decay=0.5, checkpoint_every=2)
    train_instruct_pix2pix(model, data, chosen, 6, settings.pop("drop", 0.05), **settings)  # type: ignore[arg-type]
    return model, losses


def test_training_reaches_the_picture_and_drops_it_at_times() -> None:
    model, shown = trained("pixel", drop=1 / 3)
    assert model.unet.conv_in.weight[:, model.channels :].abs().max() > 0
    assert not any(p.requires_grad for p in model.unet.parameters())
    assert 0 < sum(shown) < 4 * 6  # of 24 rows a third sees its picture
    assert trained("pixel", drop=0.0)[1] == [6.0] * 4


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = trained("pixel")
    import suti.baselines.instruct_pix2pix as module

    calls, real = [], module.denoising_loss

    def killed(*args: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "denoising_loss", killed)
        trained("pixel", checkpoint=tmp_path / "c.safetensors")
    again, steps = trained("pixel", checkpoint=tmp_path / "c.safetensors")
    assert len(steps) == 2
    for name, value in whole.unet.state_dict().items():
        assert torch.equal(value, again.unet.state_dict()[name])


def test_two_guidance_weights() -> None:
    """Weights of 0 and 0, 1 and 0, 1 and 1 leave one pass: no picture and text, the picture alone, both."""
    model, _ = trained("pixel")
    pictures = model.condition(editing_set(model, list(PICTURES[:1]), list(PICTURES[:1]), ["a"]).before)
    said, one = ["make it red"], Sampling(1, 1.0, False, 1)

    def drawn(
        text: float, image: float, instruction: list[str] = said, picture: torch.Tensor = pictures
    ) -> torch.Tensor:
        settings = InstructPix2Pix(text, image)
        return edit(model, picture, instruction, [torch_generator(0, "x")], settings, one, FP32)

    other_text, other_picture = ["make it wet"], pictures.flip(-1)
    assert torch.equal(drawn(0, 0), drawn(0, 0, other_text, other_picture))
    torch.testing.assert_close(drawn(0, 1), drawn(0, 1, other_text))
    assert not torch.allclose(drawn(0, 1), drawn(0, 1, said, other_picture))
    torch.testing.assert_close(drawn(1, 1, [""]), drawn(0, 1))
    assert not torch.allclose(drawn(1, 1), drawn(1, 1, other_text))


def test_saved_loaded_and_drawn_by_diffusers(tmp_path: Path) -> None:
    """Of a latent base: diffusers' own pipeline opens the folder and draws the same."""
    model, _ = trained("latent")
    save_instruct_pix2pix(model, tmp_path)
    loaded = load_instruct_pix2pix(str(tmp_path))
    assert loaded.channels == 4 and not loaded.unet.training
    picture = PICTURES[0]
    before = editing_set(loaded, [picture], [picture], ["a"]).before
    settings = InstructPix2Pix(3.0, 1.5)
    ours = edit(loaded, before, ["make it red"], [torch_generator(0, "x")], settings, replace(SAMPLING), FP32)
    pipe = StableDiffusionInstructPix2PixPipeline.from_pretrained(tmp_path, safety_checker=None)
    pipe.scheduler = sampling_scheduler(loaded.scheduler, pixel=False, dynamic_thresholding=False)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "make it red", image=torch.from_numpy(picture).permute(2, 0, 1)[None] / 255, num_inference_steps=2,
        guidance_scale=3.0, image_guidance_scale=1.5, generator=[torch_generator(0, "x")], output_type="latent",
    ).images  # fmt: skip
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_image_i_edits_demonstration_i() -> None:
    model, _ = trained("pixel")
    subject = BenchmarkSubject(
        "s", "cat", ((PICTURES[0], "a cat"), (PICTURES[1], "a cat")), (("00", "a cat in the snow"), ("01", "a wet cat"))
    )
    settings = InstructPix2Pix(3.0, 1.5)
    drawn = draw_instruct_pix2pix(model, subject, settings, SAMPLING, FP32, 0)
    assert drawn.images.shape == (4, 16, 16, 3) and drawn.stored_bytes == 0
    less = replace(subject, demonstrations=subject.demonstrations[1:], prompts=subject.prompts[1:])
    alone = draw_instruct_pix2pix(model, less, settings, SAMPLING, FP32, 0)
    assert abs(alone.images[1].astype(int) - drawn.images[3]).max() <= 1
    assert (alone.images[0] != drawn.images[2]).any()
