"""The overlays of configs/: valid, explained in their heads, and true to the paper where they say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from suti.config import document
from suti.config.load import load_config
from suti.config.schema import Config
from suti.config.values import parse_lambda

ROOT = Path(__file__).parents[2]
OVERLAYS = ["mini", "sd15", "if64", "paper", "photos", "webpages"]


def load(name: str) -> Config:
    return load_config([ROOT / "config.yaml", ROOT / "configs" / f"{name}.yaml"])


@pytest.mark.parametrize("file", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda f: f.stem)
def test_overlay_is_valid(file: Path) -> None:
    load_config([ROOT / "config.yaml", file])


@pytest.mark.parametrize("name", OVERLAYS)
def test_head_says_command_hardware_time_and_what_to_expect(name: str) -> None:
    lines = (ROOT / "configs" / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == document.modeline(f"configs/{name}.yaml")
    head = "\n".join(line for line in lines if line.startswith("#"))
    for word in ("Command", "Hardware", "Time", "Expect", f"CONFIG=configs/{name}.yaml"):
        assert word in head


def test_every_overlay_has_a_results_folder_of_its_own() -> None:
    folders = [load(name).results for name in OVERLAYS]
    assert len({*folders, Config().results}) == len(folders) + 1


def test_paper_has_the_papers_numbers() -> None:
    paper = load("paper")
    experts, apprentice, evaluation = paper.experts, paper.apprentice, paper.evaluation
    assert (experts.method, experts.steps, experts.learning_rate, experts.guidance_scale) == (
        "full",
        500,
        1e-5,
        30,
    )
    assert experts.shards == 5000
    assert paper.language.prompts_per_subject * experts.samples_per_prompt == 4
    assert paper.mining.similarity == (0.82, 0.98)
    assert (apprentice.steps, apprentice.learning_rate, apprentice.demonstrations) == (150_000, 1e-4, 3)
    assert apprentice.initialization == "random"
    assert (evaluation.demonstrations, evaluation.guidance_scale, evaluation.images_per_prompt) == (4, 15, 4)
    assert paper.baselines.dream_suti.steps == 500
    assert paper.filtering.default == "0.02"


@pytest.mark.parametrize("name", ["if64", "paper"])
def test_pixel_bases_are_enlarged_twice(name: str) -> None:
    """64 to 256 to 1024, as in the paper."""
    first, second = load(name).models.super_resolution
    assert first.model.startswith("DeepFloyd/IF-II-")
    assert (second.model, second.noise_level) == ("stabilityai/stable-diffusion-x4-upscaler", 100)


@pytest.mark.parametrize("name", ["sd15", "if64", "paper"])
def test_grid_of_real_clip_models_is_the_papers(name: str) -> None:
    grid = [parse_lambda(item) for item in load(name).filtering.grid]
    assert grid == [("none", 0.0), *(("absolute", x) for x in (0.0, 0.005, 0.01, 0.015, 0.02, 0.025))]


@pytest.mark.parametrize("name", ["sd15", "if64", "paper"])
def test_open_clip_knows_the_encoders_and_their_activation(name: str) -> None:
    open_clip = pytest.importorskip("open_clip")
    config = load(name)
    specs = {config.mining.encoder, config.filtering.encoder, *config.evaluation.encoders.values()}
    specs = {spec for spec in specs if spec.startswith("open_clip:")}
    assert specs
    for spec in specs:
        model, _, tag = spec.removeprefix("open_clip:").partition("/")
        weights = open_clip.get_pretrained_cfg(model, tag)
        assert weights, f"{spec}: unknown to open_clip"
        # a mismatch is a mere warning there, and shifts every similarity
        assert bool(weights.get("quick_gelu")) == bool(open_clip.get_model_config(model).get("quick_gelu")), spec
