"""``suti generate``: pictures in, picture out, and clear messages; the models are stand-ins here."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from suti.cli.main import main
from suti.config.schema import Config, Evaluation, SuperResolutionStage
from suti.diffusion.settings import Sampling
from suti.generation import studio


class Apprentice:
    """Stand-in for the pipeline: an 8 x 8 picture of one random colour; keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.encoded: list[list[tuple[Image.Image, str]]] = []

    def encode_subject(self, demonstrations: list[tuple[Image.Image, str]]) -> list[tuple[Image.Image, str]]:
        self.encoded.append(demonstrations)
        return demonstrations

    def __call__(self, prompt: str, **arguments: Any) -> SimpleNamespace:
        self.calls.append({"prompt": prompt, **arguments})
        colour = torch.randint(256, (3,), generator=arguments["generator"]).tolist()
        return SimpleNamespace(images=[Image.new("RGB", (8, 8), tuple(colour))])


@pytest.fixture
def apprentice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apprentice:
    """A folder with photos and a trained run, as current folder, and the stand-in."""
    photos = tmp_path / "red_back-pack"
    photos.mkdir()
    for number, name in enumerate(["c.png", "a.jpg", "b.png", ".hidden.png"]):
        Image.new("RGB", (10 + number, 10), "red").save(photos / name)
    (photos / "b.txt").write_text("a red backpack\non a table\n")
    (photos / "notes.md").write_text("not a picture")
    folder = tmp_path / "results" / "apprentice" / "q0.4"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    stand_in = Apprentice()
    monkeypatch.setattr(studio, "load_pipeline", lambda folder, compute: stand_in)
    (tmp_path / "config.yaml").write_text("models: {super_resolution: null}\n")
    return stand_in


def run(*arguments: str, prompt: str = "a red backpack on a beach", out: str = "x.png") -> int:
    given = ["--demonstrations", "red_back-pack"] if "--demonstrations" not in arguments else []
    return main(["generate", *given, "--prompt", prompt, "--out", out, *arguments])


def test_one_prompt_gives_one_picture(apprentice: Apprentice, tmp_path: Path) -> None:
    weights = ("--guidance-scale", "7.5", "--demonstration-guidance-scale", "9")
    assert run(*weights, "--steps", "3", "--seed", "5") == 0
    (call,) = apprentice.calls
    assert call["prompt"] == "a red backpack on a beach"
    assert call["sampling"] == replace(Sampling.of(Evaluation()), guidance_scale=7.5, demonstration_guidance_scale=9,
                                       num_inference_steps=3)  # fmt: skip
    pictures, texts = zip(*call["demonstrations"], strict=True)
    assert [picture.width for picture in pictures] == [11, 12, 10], "in the order of their names"
    assert all(picture.mode == "RGB" for picture in pictures)
    assert texts == ("red back pack", "a red backpack on a table", "red back pack")
    with Image.open("x.png") as picture:
        assert picture.size == (8, 8)
        assert json.loads(picture.text["suti"])["seed"] == 5
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "config.yaml",
        "red_back-pack",
        "results",
        "x.png",
    ], "no part left"


def test_text_and_count(apprentice: Apprentice) -> None:
    assert run("--text", "a bag", "--count", "2") == 0
    assert [text for _, text in apprentice.calls[0]["demonstrations"]] == [
        "a bag",
        "a red backpack on a table",
    ]


def test_the_captioner_writes_missing_texts(
    apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Captioner:
        def caption(self, images: list[np.ndarray], max_new_tokens: int) -> list[str]:
            assert all(image.dtype == np.uint8 and image.ndim == 3 for image in images)
            return ["a bag in the snow", ""][: len(images)]

    monkeypatch.setattr(studio, "load_captioner", lambda spec, compute: Captioner())
    assert run("--caption") == 0
    texts = [text for _, text in apprentice.calls[0]["demonstrations"]]
    assert texts == ["a bag in the snow", "a red backpack on a table", "red back pack"], "note and name stay"
    printed = capsys.readouterr().out
    assert "a.jpg: a bag in the snow\n" in printed
    assert "b.png" not in printed
    with pytest.raises(SystemExit):
        run("--caption", "--text", "a bag")


def test_progress_counts_every_step(apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch) -> None:
    from suti.cli import generate

    totals: list[int] = []
    monkeypatch.setattr(generate, "tqdm", lambda total, **_: totals.append(total) or nullcontext(SimpleNamespace()))
    assert run("--prompt", "in snow", "--images", "3", "--steps", "5") == 0
    assert totals == [2 * 3 * 5]
    assert all(callable(call["callback"]) for call in apprentice.calls)


def test_defaults_come_from_the_configuration(apprentice: Apprentice) -> None:
    text = "evaluation: {guidance_scale: 2, guidance_stop: 0.5, num_inference_steps: 9, demonstrations: 1}\n"
    Path("my.yaml").write_text(text)
    assert run("--configfile", "my.yaml") == 0
    call = apprentice.calls[0]
    used = call["sampling"]
    assert (used.guidance_scale, used.guidance_stop, used.num_inference_steps) == (2, 0.5, 9)
    assert len(call["demonstrations"]) == 1


def test_pictures_are_enlarged_by_the_configured_stages(
    apprentice: Apprentice, monkeypatch: pytest.MonkeyPatch
) -> None:
    from suti.cli import generate

    class Bar:
        """Stand-in for tqdm that keeps its texts."""

        texts: list[str] = []  # noqa: RUF012

        def set_description(self, text: str, refresh: bool = True) -> None:
            self.texts.append(text)

    class Twice:
        """Two stages, each of which repeats every pixel."""

        def __init__(self, stages: list[SuperResolutionStage]) -> None:
            self.settings = [stage.model_dump() for stage in stages]

        def upscale(
            self,
            images: np.ndarray,
            prompts: list[str],
            generator: torch.Generator,
            callback: Callable[[int, int], None],
        ) -> np.ndarray:
            assert (images.dtype, images.shape, len(prompts)) == (np.uint8, (1, 8, 8, 3), 1)
            for number in (1, 2):
                callback(number, 2)
                images = images.repeat(2, axis=1).repeat(2, axis=2)
            return images

    loaded: list[Any] = []

    def load(stages: list[SuperResolutionStage], compute: object, pipeline: object) -> Twice | None:
        assert pipeline is apprentice
        loaded.append([stage.model for stage in stages])
        return Twice(stages) if stages else None

    monkeypatch.setattr(studio, "load_upscaler", load)
    monkeypatch.setattr(generate, "tqdm", lambda **_: nullcontext(Bar()))
    Path("stage.yaml").write_text("models: {super_resolution: [a/stage, {model: b/stage, noise_level: 100}]}\n")
    told = ["a/stage", {"model": "b/stage", "noise_level": 100}]
    for arguments, side, stages in (((), 32, told), (("--no-upscale",), 8, [])):
        assert run("--configfile", "stage.yaml", *arguments) == 0
        with Image.open("x.png") as picture:
            assert picture.size == (side, side)
            assert json.loads(picture.text["suti"])["super_resolution"] == stages
    assert loaded == [["a/stage", "b/stage"], []]
    assert Bar.texts == ["enlarging 1 of 2", "enlarging 2 of 2"]


def test_several_prompts_give_a_sheet_and_equal_seeds_equal_files(apprentice: Apprentice) -> None:
    more = ("--prompt", "in snow", "--images", "2")
    assert run(*more, out="a.png") == 0
    assert run(*more, out="b.png") == 0
    assert run(*more, "--seed", "1", out="c.png") == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes() != Path("c.png").read_bytes()
    assert len(apprentice.encoded) == 3, "once a command"
    assert [call["prompt"] for call in apprentice.calls[:4]] == ["a red backpack on a beach"] * 2 + ["in snow"] * 2
    with Image.open("a.png") as sheet:
        colours = {tuple(c) for c in np.asarray(sheet).reshape(-1, 3).tolist()}
        assert sheet.height >= 2 * 8
        assert len(colours) >= 2 + 4, "black, white and four pictures"


def test_a_prompts_pictures_do_not_depend_on_the_other_prompts(apprentice: Apprentice) -> None:
    assert run(out="one.png") == 0
    assert run("--prompt", "in snow", out="two.png") == 0
    first = apprentice.calls
    again = torch.randint(256, (3,), generator=studio.torch_generator(0, "generate", first[0]["prompt"], 0))
    with Image.open("one.png") as picture:
        assert list(picture.getpixel((0, 0))) == again.tolist()
    with Image.open("two.png") as sheet:
        assert again.tolist() in np.asarray(sheet).reshape(-1, 3).tolist()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--demonstrations", "nowhere"), "--demonstrations: nowhere: no such folder"),
        (("--demonstrations", "red_back-pack/a.jpg"), "a file; expected a folder of pictures"),
        (("--demonstrations", "results"), "results: no pictures (JPEG, PNG"),
        (("--demonstrations", "bad"), "b.jpg: broken: "),
        (("--demonstrations", "empty"), "a.png: broken: the file is empty (0 bytes); replace or remove it"),
        (("--model", "results"), "--model: results: no model_index.json in it"),
        (("--model", "nowhere"), "--model: nowhere: no such folder; expected an apprentice"),
        (("--configfile", "no.yaml"), "no.yaml: no such file"),
        (("--prompt", " "), "--prompt: empty"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(
    apprentice: Apprentice, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    for folder, name, data in (("bad", "b.jpg", b"I am text"), ("empty", "a.png", b"")):
        Path(folder).mkdir()
        (Path(folder) / name).write_bytes(data)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("suti: error: ")
    assert sentence in error
    assert not Path("x.png").exists()
    assert apprentice.calls == []


def test_the_shipped_apprentice_serves_until_the_run_has_its_own(apprentice: Apprentice) -> None:
    own, shipped = Path("results/apprentice/q0.4"), Path("shipped")
    shipped.mkdir()
    (shipped / "model_index.json").write_text("{}")
    config = Config(models={"apprentice": str(shipped)})
    assert studio.model_folder(None, config) == own
    (own / "model_index.json").unlink()
    assert studio.model_folder(None, config) == shipped
    with pytest.raises(ValueError, match=r"--model: results/apprentice/q0\.4: no model_index\.json"):
        studio.model_folder(own, config)  # what was asked for is never replaced
    (shipped / "model_index.json").unlink()
    with pytest.raises(ValueError, match="no apprentice there yet"):
        studio.model_folder(None, config)


def test_without_a_trained_apprentice_the_remedy_is_named(
    apprentice: Apprentice, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("results/apprentice/q0.4/model_index.json").unlink()
    assert run() == 2
    assert "results/apprentice/q0.4: no apprentice there yet; train it with `make run`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [("--steps", "0"), ("--guidance-scale", "-1"), ("--guidance-scale", "nan"), ("--images", "x")],
)
def test_bad_numbers_are_refused(apprentice: Apprentice, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2


def test_out_must_be_a_png(apprentice: Apprentice, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(out="x.jpg") == 2
    assert "--out: 'x.jpg', expected a name that ends in .png" in capsys.readouterr().err
