"""The cascade: miniatures of both families of diffusers, saved, loaded and run one after the other."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    IFSuperResolutionPipeline,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)

from suti.config.schema import Compute, Config, SuperResolutionStage
from suti.generation import studio
from suti.models.cascade import Cascade, load_super_resolution
from suti.models.super_resolution import PixelSuperResolution
from suti.seeds import torch_generator
from tests.tiny import tiny_base

ROOT = Path(__file__).resolve().parents[2]
CPU = Compute(device="cpu", precision="fp32")
STEPS = {"num_inference_steps": 2}
PROMPTS = ["a dog", "a cat in the snow", "a red teapot"]


def if_stage(seed: int = 0) -> IFSuperResolutionPipeline:
    """8 to 32 pixels; the block types of IF-II."""
    base = tiny_base("if", seed)
    unet = UNet2DConditionModel(
        sample_size=32, in_channels=6, out_channels=6, layers_per_block=1, block_out_channels=(16, 32),
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", attention_head_dim=8, norm_num_groups=4, cross_attention_dim=16,
        encoder_hid_dim=16, encoder_hid_dim_type="text_proj", addition_embed_type="text",
        addition_embed_type_num_heads=2, class_embed_type="timestep", resnet_time_scale_shift="scale_shift",
        only_cross_attention=True, act_fn="gelu",
    )  # fmt: skip
    return IFSuperResolutionPipeline(
        tokenizer=base.tokenizer, text_encoder=base.text_encoder, unet=unet,
        scheduler=DDPMScheduler(variance_type="learned_range"), image_noising_scheduler=DDPMScheduler(),
        safety_checker=None, feature_extractor=None, watermarker=None, requires_safety_checker=False,
    )  # fmt: skip


def upscaler() -> StableDiffusionUpscalePipeline:
    """Any size, times 2; the block types of the x4 upscaler."""
    base = tiny_base("latent", 1)
    unet = UNet2DConditionModel(
        sample_size=16, in_channels=7, out_channels=4, layers_per_block=1, block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=2, norm_num_groups=4, cross_attention_dim=16, only_cross_attention=(True, False),
        num_class_embeds=1000,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(4, 8), latent_channels=4, norm_num_groups=2, layers_per_block=1, scaling_factor=0.08333,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    schedule = {"beta_schedule": "scaled_linear", "prediction_type": "v_prediction"}
    return StableDiffusionUpscalePipeline(
        vae=vae, text_encoder=base.text_encoder, tokenizer=base.tokenizer, unet=unet,
        low_res_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, **schedule),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Saved stages: "if", "bare" (the same without a text encoder), "x2"."""
    place = tmp_path_factory.mktemp("stages")
    torch.manual_seed(0)
    first = if_stage()
    first.save_pretrained(place / "if")
    first.register_modules(text_encoder=None, tokenizer=None)
    first.save_pretrained(place / "bare")
    upscaler().save_pretrained(place / "x2")
    return {name: str(place / name) for name in ("if", "bare", "x2")}


@pytest.fixture(scope="module")
def cascade(folders: dict[str, str]) -> Cascade:
    """8 to 32 to 64, few steps."""
    stages = [SuperResolutionStage(model=folders[name], **STEPS) for name in ("if", "x2")]
    return load_super_resolution(stages, CPU)


@pytest.fixture
def calls(cascade: Cascade, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Keywords of every call of a pipeline."""
    result: list[dict[str, Any]] = []
    for kind in (IFSuperResolutionPipeline, StableDiffusionUpscalePipeline):

        def spy(self: Any, _call: Any = kind.__call__, **keywords: Any) -> Any:
            result.append(keywords)
            return _call(self, **keywords)

        monkeypatch.setattr(kind, "__call__", spy)
    return result


def pictures(count: int = 3, side: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def keyed(count: int) -> list[torch.Generator]:
    return [torch_generator("test", number) for number in range(count)]


def test_two_families_one_after_the_other(cascade: Cascade) -> None:
    told: list[tuple[int, int]] = []
    big = cascade.upscale(pictures(2), PROMPTS[:2], keyed(2), lambda *now: told.append(now))
    assert (big.shape, big.dtype, cascade.output_size(8)) == ((2, 64, 64, 3), np.uint8, 64)
    assert told == [(1, 2), (2, 2)] * 2
    assert cascade.upscale(pictures(0), [], []).shape == (0, 64, 64, 3)
    assert len(np.unique(big)) > 10, "a picture, not a constant"


def test_a_picture_depends_on_its_generator_alone(cascade: Cascade) -> None:
    """Not on its batch or its place; and on its prompt."""
    whole = cascade.upscale(pictures(), PROMPTS, keyed(3))
    backwards = cascade.upscale(pictures()[::-1], PROMPTS[::-1], keyed(3)[::-1])[::-1]
    alone = cascade.upscale(pictures()[1:2], PROMPTS[1:2], keyed(2)[1])
    assert np.array_equal(whole, backwards)
    assert np.array_equal(whole[1:2], alone)
    other = cascade.upscale(pictures()[1:2], PROMPTS[1:2], torch_generator("another"))
    assert not np.array_equal(other, alone)
    unseeded = [cascade.upscale(pictures(2)[::order], PROMPTS[:2][::order])[::order] for order in (1, -1)]
    assert np.array_equal(*unseeded)


def test_settings_reach_the_pipelines_and_the_record(folders: dict[str, str], calls: list[dict[str, Any]]) -> None:
    given = {"noise_level": 30.0, "num_inference_steps": 3, "guidance_scale": 1.5}
    cascade = load_super_resolution(
        [SuperResolutionStage(model=folders["if"], **given), SuperResolutionStage(model=folders["x2"], **STEPS)], CPU
    )
    cascade.upscale(pictures(1), PROMPTS[:1], keyed(1))
    read = ("noise_level", "num_inference_steps", "guidance_scale")
    assert [[call[key] for key in read] for call in calls] == [[30, 3, 1.5], [20, 2, 9.0]]
    assert [call["prompt"] for call in calls] == PROMPTS[:1] * 2
    assert all(type(call["noise_level"]) is int for call in calls), "the pipelines would cut a fraction"
    expected = [{"model": folders["if"], **given}, {"model": folders["x2"], "noise_level": 20, "guidance_scale": 9.0}]
    assert cascade.settings == [expected[0], expected[1] | STEPS]
    json.dumps(cascade.settings)


def test_defaults_are_those_of_diffusers(folders: dict[str, str]) -> None:
    import inspect

    for name, kind in (("if", IFSuperResolutionPipeline), ("x2", StableDiffusionUpscalePipeline)):
        (stage,) = load_super_resolution([folders[name]], CPU).stages
        signature = inspect.signature(kind.__call__).parameters
        assert stage.arguments == {key: signature[key].default for key in stage.arguments}


def test_more_noise_changes_the_picture_more(folders: dict[str, str]) -> None:
    drawn = [
        load_super_resolution([SuperResolutionStage(model=folders["x2"], noise_level=level, **STEPS)], CPU).upscale(
            pictures(1), PROMPTS[:1], keyed(1)
        )
        for level in (0, 20, 300)
    ]
    near, far = (np.abs(picture.astype(int) - drawn[0]).mean() for picture in drawn[1:])
    assert 0 < near < far


def test_optional_checkers_are_not_loaded(cascade: Cascade) -> None:
    for stage in cascade.stages:
        parts = stage.model.pipeline.components
        assert [parts[name] for name in ("safety_checker", "feature_extractor", "watermarker")] == [None] * 3
        assert {p.dtype for p in parts["unet"].parameters()} == {torch.float32}


def test_an_if_stage_shares_the_bases_text_encoder_if_it_is_alike(folders: dict[str, str]) -> None:
    base = tiny_base("if")
    for name in ("if", "bare"):
        (stage,) = load_super_resolution([folders[name]], CPU, base.text_encoder, base.tokenizer).stages
        assert stage.model.pipeline.text_encoder is base.text_encoder
    clip = tiny_base("latent")
    (stage,) = load_super_resolution([folders["if"]], CPU, clip.text_encoder, clip.tokenizer).stages
    assert stage.model.pipeline.text_encoder is not clip.text_encoder
    half = tiny_base("if")
    half.text_encoder.to(torch.float16)
    (stage,) = load_super_resolution([folders["if"]], CPU, half.text_encoder, half.tokenizer).stages
    assert stage.model.pipeline.text_encoder.dtype == torch.float32, "the pipeline computes in the encoder's type"
    for encoder, tokenizer in ((None, None), (clip.text_encoder, clip.tokenizer), (half.text_encoder, half.tokenizer)):
        with pytest.raises(ValueError, match=r"models\.super_resolution\.0: .*bare has no text encoder"):
            load_super_resolution([folders["bare"]], CPU, encoder, tokenizer)


def test_shared_and_own_encoder_draw_the_same(folders: dict[str, str], cascade: Cascade) -> None:
    base = tiny_base("if")  # the weights that the stage was saved with
    stages = [SuperResolutionStage(model=folders[name], **STEPS) for name in ("bare", "x2")]
    shared = load_super_resolution(stages, CPU, base.text_encoder, base.tokenizer)
    draw = lambda c: c.upscale(pictures(1), PROMPTS[:1], keyed(1))  # noqa: E731
    assert np.array_equal(draw(shared), draw(cascade))


def test_wrong_folders_are_named_with_their_place(folders: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"models\.super_resolution\.1: .*no-such-model.*make models"):
        load_super_resolution([folders["if"], "resources/models/no-such-model"], CPU)
    with pytest.raises(ValueError, match=r"models\.super_resolution\.0: .*: no model_index\.json"):
        load_super_resolution([str(tmp_path)], CPU)
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(ValueError, match=r"super_resolution\.1: .* is a StableDiffusionPipeline, expected one of"):
        load_super_resolution([folders["x2"], str(tmp_path)], CPU)


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("if", {"noise_level": 1000}, r"0\.noise_level: 1000\.0, expected a whole number in \[0, 999\]"),
        ("x2", {"noise_level": 351}, r"0\.noise_level: 351\.0, expected a whole number in \[0, 350\]"),
        ("x2", {"noise_level": 0.5}, r"0\.noise_level: 0\.5, expected a whole number"),
        ("own", {"noise_level": 20}, r"0\.noise_level: 20\.0, expected a number in \[0, 0\.5\]"),
        ("own", {"guidance_scale": 3}, r"0\.guidance_scale: 3\.0, expected null"),
    ],
)
def test_settings_out_of_range(folders: dict[str, str], name: str, settings: dict[str, Any], sentence: str) -> None:
    model = folders.get(name, Config().models.super_resolution[0].model)
    with pytest.raises(ValueError, match=r"models\.super_resolution\." + sentence):
        load_super_resolution([SuperResolutionStage(model=model, **settings)], CPU)


def test_wrong_input_is_refused_before_anything_is_drawn(
    cascade: Cascade, folders: dict[str, str], calls: list[dict[str, Any]]
) -> None:
    with pytest.raises(ValueError, match=r"super_resolution\.0: .*16 x 16, expected 8 x 8 \(from the base\)"):
        cascade.upscale(pictures(1, 16), PROMPTS[:1])
    with pytest.raises(ValueError, match=r"super_resolution\.1: .*16 x 16, expected 8 x 8 \(from stage 0\)"):
        load_super_resolution([folders["x2"], folders["if"]], CPU).upscale(pictures(1), PROMPTS[:1])
    with pytest.raises(ValueError, match=r"super_resolution\.0: .*7 x 7, expected a side that is a multiple of 2"):
        load_super_resolution([folders["x2"]], CPU).output_size(7)
    with pytest.raises(ValueError, match=r"super_resolution\.0: .* reads text; pass a prompt"):
        cascade.upscale(pictures(1))
    with pytest.raises(ValueError, match="2 pictures need as many prompts, got 1"):
        cascade.upscale(pictures(2), PROMPTS[:1])
    with pytest.raises(ValueError, match="2 pictures need as many generators, got 1"):
        cascade.upscale(pictures(2), PROMPTS[:2], keyed(1))
    with pytest.raises(ValueError, match=r"expected uint8 \(N, S, S, 3\)"):
        cascade.upscale(np.zeros((1, 8, 8, 3)), PROMPTS[:1])
    assert calls == []


def test_the_default_draws_as_its_stage_alone() -> None:
    stages = Config().models.super_resolution
    if not (ROOT / stages[0].model / "provenance.json").is_file():
        pytest.skip("resources/models/super_resolution is absent; train it with `make models`")
    default = load_super_resolution([str(ROOT / stage.model) for stage in stages], CPU)
    alone = PixelSuperResolution.from_pretrained(ROOT / stages[0].model)
    image = pictures(1, 64)
    assert np.array_equal(default.upscale(image, PROMPTS[:1], keyed(1)[0]), alone.upscale(image, generator=keyed(1)[0]))
    assert np.array_equal(default.upscale(image), alone.upscale(image)), "the fixed seed, no prompt needed"


def test_bf16_is_autocast_and_near_fp32(folders: dict[str, str], cascade: Cascade) -> None:
    stages = [SuperResolutionStage(model=folders[name], **STEPS) for name in ("if", "x2")]
    rounded = load_super_resolution(stages, CPU.model_copy(update={"precision": "bf16"}))
    draw = lambda c: c.upscale(pictures(1), PROMPTS[:1], keyed(1)).astype(int)  # noqa: E731
    error = np.abs(draw(rounded) - draw(cascade))
    assert 0 < error.mean() < 2


def test_no_stage_changes_nothing() -> None:
    assert np.array_equal(load_super_resolution([]).upscale(pictures()), pictures())


def test_a_cascade_that_does_not_fit_the_base_is_refused_when_loaded(folders: dict[str, str]) -> None:
    base = tiny_base("if")  # draws 8 x 8
    pipeline = SimpleNamespace(base=base, text_encoder=base.text_encoder, tokenizer=base.tokenizer)
    load = lambda *names: studio.load_upscaler([SuperResolutionStage(model=folders[n]) for n in names], CPU, pipeline)  # noqa: E731
    assert load("if", "x2").output_size(8) == 64
    assert load() is None
    with pytest.raises(ValueError, match=r"super_resolution\.1: .*16 x 16, expected 8 x 8"):
        load("x2", "if")
