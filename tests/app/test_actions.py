"""What the page does, without a browser, with an untrained miniature apprentice."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from PIL import Image

from suti.app import actions, style
from suti.app.actions import MAX_PICTURES, Problem, Subject
from suti.app.examples import world_examples
from suti.diffusion.settings import Sampling
from suti.generation.studio import SUBJECTS, Studio, Wish
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.pipeline import SuTIPipeline
from tests.tiny import tiny_base

LIMIT = 1_000_000
SAMPLING = Sampling(num_inference_steps=2, guidance_scale=2.0)
WISH = Wish("a dog in the snow", SAMPLING, seed=3)


class Captioner:
    """Says what colour a picture has; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def caption(self, images: list[np.ndarray], max_new_tokens: int) -> list[str]:
        self.calls += 1
        return [f"a {'red' if image[..., 0].mean() > 128 else 'dark'}  dog\non a <b>rug</b>" for image in images]


@pytest.fixture(scope="module")
def pipeline() -> SuTIPipeline:
    base = tiny_base()
    unet = ApprenticeUNet.from_base(base.unet, "random")
    return SuTIPipeline(unet, base.text_encoder, base.tokenizer, base.scheduler)


@pytest.fixture
def studio(pipeline: SuTIPipeline, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """A studio that counts encodings in ``studio.encodings``."""
    result = Studio(pipeline, captioner=Captioner())
    result.encodings = 0
    encode = SuTIPipeline.encode_subject

    def counted(self: SuTIPipeline, demonstrations: list[tuple[np.ndarray, str]]) -> object:
        result.encodings += 1
        return encode(self, demonstrations)

    monkeypatch.setattr(SuTIPipeline, "encode_subject", counted)
    return result


def photo(path: Path, colour: str = "red", size: tuple[int, int] = (40, 30)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def subject(*colours: int) -> Subject:
    pictures = tuple(np.full((16, 16, 3), c, np.uint8) for c in colours)
    return Subject(pictures, tuple(f"a dog {c}" for c in colours))


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


def test_uploads_become_squares_with_suggested_captions(studio: Studio, tmp_path: Path) -> None:
    files = [photo(tmp_path / "a.png"), photo(tmp_path / "b.jpg", "black", (20, 2000))]
    added, problems = actions.add_pictures(Subject(), files, studio, max_pixels=LIMIT)
    assert problems == []
    assert [p.shape for p in added.pictures] == [(30, 30, 3), (20, 20, 3)]
    assert added.captions == ("a red dog on a <b>rug</b>", "a dark dog on a <b>rug</b>"), "one line each"
    more, _ = actions.add_pictures(added.with_captions(["mine", "its"]), files[:1], studio, max_pixels=LIMIT)
    assert more.captions == ("mine", "its", "a red dog on a <b>rug</b>"), "edited captions stay"
    assert more.without(0).captions == ("its", "a red dog on a <b>rug</b>")
    assert studio.captioner.calls == 2


def test_hostile_files_give_sentences_and_the_rest_is_taken(studio: Studio, tmp_path: Path) -> None:
    files = {"text.png": b"I am text", "empty.png": b"", "bomb.png": bomb()}
    picture = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(picture, "JPEG")
    files["cut.jpg"] = picture.getvalue()[:500]
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    good = photo(tmp_path / "good.png")
    paths = [*(tmp_path / name for name in files), good, tmp_path / "missing.png"]
    added, problems = actions.add_pictures(Subject(), paths, studio, max_pixels=LIMIT)
    assert len(added.pictures) == 1
    assert [p.split(":")[0] for p in problems] == [*files, "missing.png"]
    assert "too large (" in problems[2] and "at most 1,000,000 pixels are decoded" in problems[2]
    assert all("cannot be read as a picture" in p for i, p in enumerate(problems) if i != 2)


def test_no_more_than_five(studio: Studio, tmp_path: Path) -> None:
    files = [photo(tmp_path / f"{n}.png") for n in range(7)]
    added, problems = actions.add_pictures(Subject(), files, studio, max_pixels=LIMIT)
    assert len(added.pictures) == len(added.captions) == MAX_PICTURES
    assert [p.split(":")[0] for p in problems] == ["5.png", "6.png"]
    assert actions.add_pictures(added, [], studio, max_pixels=LIMIT) == (added, [])


def test_a_subject_is_encoded_once_until_it_changes(studio: Studio, tmp_path: Path) -> None:
    one = subject(10, 200)
    actions.draw(studio, one, WISH, 3, tmp_path)
    actions.draw(studio, one, Wish("a dog on the beach", SAMPLING), 1, tmp_path)
    assert studio.encodings == 1
    actions.draw(studio, one.with_captions(["a dog", "a dog 200"]), WISH, 1, tmp_path)
    actions.draw(studio, subject(10, 201), WISH, 1, tmp_path)
    assert studio.encodings == 3
    for colour in range(SUBJECTS):
        studio.encode([(np.full((8, 8, 3), colour, np.uint8), "x")])
    assert len(studio._encoded) == SUBJECTS
    actions.draw(studio, one, WISH, 1, tmp_path)
    assert studio.encodings == 4 + SUBJECTS, "the oldest was dropped"


def test_draw_reports_each_step_and_writes_files_that_say_how(studio: Studio, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    drawn = actions.draw(studio, subject(10), WISH, 2, tmp_path, lambda *report: seen.append(report))
    one, two = "picture 1 of 2", "picture 2 of 2"
    assert seen == [(1, 4, one), (2, 4, one), (3, 4, two), (4, 4, two)]
    assert [d.path.name for d in drawn] == ["a-dog-in-the-snow-seed3-1.png", "a-dog-in-the-snow-seed3-2.png"]
    with Image.open(drawn[0].path) as picture, Image.open(drawn[1].path) as other:
        assert picture.size == (16, 16)
        assert picture.tobytes() != other.tobytes()
        told = json.loads(picture.text["suti"])
    assert (told["seed"], told["guidance_scale"], told["texts"]) == (3, 2.0, ["a dog 10"])
    assert "images_per_prompt" not in told and told["num_inference_steps"] == 2


@pytest.mark.parametrize(("after", "finished"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_stop_keeps_the_finished_pictures(studio: Studio, tmp_path: Path, after: int, finished: int) -> None:
    """Two steps a picture: a stop during the third step keeps the first picture, one before all steps none."""
    stop, steps = Event(), []

    def progress(done: int, total: int, doing: str) -> None:
        steps.append(done)
        if done == after:
            stop.set()

    if after == 0:
        stop.set()
    drawn = actions.draw(studio, subject(10), WISH, 4, tmp_path, progress, stop)
    assert len(drawn) == finished
    assert all(d.path.is_file() for d in drawn)
    assert len(steps) == after, "nothing is computed after the stop"
    assert len(list(tmp_path.glob("*/*.png"))) == finished


def test_equal_requests_give_equal_pictures(studio: Studio, tmp_path: Path) -> None:
    first, again, fewer = (actions.draw(studio, subject(10), WISH, n, tmp_path) for n in (2, 2, 1))
    assert [d.path.read_bytes() for d in first] == [d.path.read_bytes() for d in again]
    assert fewer[0].path.read_bytes() == first[0].path.read_bytes()
    assert len({d.path for d in [*first, *again, *fewer]}) == 5, "no file is overwritten"


def test_pictures_are_enlarged_if_wished(pipeline: SuTIPipeline, tmp_path: Path) -> None:
    class Twice:
        settings = [{"model": "a/stage"}, {"model": "b/stage", "noise_level": 20}]  # noqa: RUF012

        def upscale(
            self,
            images: np.ndarray,
            prompts: list[str],
            generator: torch.Generator,
            callback: Callable[[int, int], None],
        ) -> np.ndarray:
            assert prompts == [WISH.prompt]
            callback(1, 2)
            callback(2, 2)
            return images.repeat(2, axis=1).repeat(2, axis=2)

    studio = Studio(pipeline, super_resolution=Twice())
    plain = Wish(WISH.prompt, SAMPLING, seed=3, upscale=False)
    told: list[tuple[int, int, str]] = []
    drawn = [
        actions.draw(studio, subject(10), wish, 2, tmp_path, lambda *now: told.append(now))[0] for wish in (WISH, plain)
    ]
    sides = {}
    for name, picture in zip(("enlarged", "plain"), drawn, strict=True):
        with Image.open(picture.path) as image:
            sides[name] = (image.size, json.loads(image.text["suti"])["super_resolution"])
    assert sides == {"enlarged": ((32, 32), Twice.settings), "plain": ((16, 16), [])}
    first = [(1, 4, "picture 1 of 2"), (2, 4, "picture 1 of 2")]
    assert told[:4] == [
        *first, (2, 4, "picture 1 of 2, enlarging 1 of 2"), (2, 4, "picture 1 of 2, enlarging 2 of 2")
    ]  # fmt: skip
    assert told[8:] == [*first, (3, 4, "picture 2 of 2"), (4, 4, "picture 2 of 2")]


@pytest.mark.parametrize(
    ("pictures", "count", "sentence"),
    [
        (Subject(), 1, "Add 1 to 5 pictures"),
        (subject(1, 2).with_captions(["", " \n"]), 1, "Picture 1 and 2: no caption"),
        (subject(1), 0, "Pictures: 0, expected a number from 1 to 8"),
        (subject(1), 9, "Pictures: 9"),
        (subject(1), None, "Pictures: empty"),
    ],
)
def test_bad_requests_are_sentences(
    studio: Studio, tmp_path: Path, pictures: Subject, count: float | None, sentence: str
) -> None:
    with pytest.raises(Problem, match=sentence):
        actions.draw(studio, pictures, WISH, count, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prompt": " \n"}, "Say what to draw"),
        ({"prompt": None}, "Say what to draw"),
        ({"guidance_scale": float("nan")}, "Guidance by the prompt: nan, expected a number from 0 to 30"),
        ({"demonstration_guidance_scale": 31}, "Guidance by the pictures: 31, expected a number from 0 to 30"),
        ({"steps": 0}, "Steps: 0"),
        ({"seed": -1}, "Seed: -1"),
        ({"seed": None}, "Seed: empty"),
    ],
)
def test_bad_numbers_are_sentences(change: dict[str, object], sentence: str) -> None:
    good = {"prompt": "a  dog", "guidance_scale": 3, "demonstration_guidance_scale": 5, "steps": 4.0, "seed": 1.0}
    fixed = {"upscale": False, "otherwise": Sampling(9, 9, dynamic_thresholding=True, guidance_stop=0.5)}
    asked = Sampling(4, 3, True, 1, demonstration_guidance_scale=5, guidance_stop=0.5)
    assert actions.wish_of(**good, **fixed) == Wish("a dog", asked, 1, False)
    with pytest.raises(Problem, match=sentence):
        actions.wish_of(**{**good, **change}, **fixed)


def test_a_plain_base_says_that_it_takes_no_pictures(tmp_path: Path) -> None:
    base = tiny_base()
    plain = SuTIPipeline(base.unet, base.text_encoder, base.tokenizer, base.scheduler)
    with pytest.raises(Problem, match="cannot look at pictures"):
        actions.draw(Studio(plain), subject(1), WISH, 1, tmp_path)


def test_ideas_take_the_most_frequent_noun() -> None:
    assert actions.ideas(["a red dog on a rug", "an old dog", "a cat"])[0] == "a dog in the snow"
    assert actions.ideas([]) == actions.ideas(["", "<>"]) == []
    assert len(actions.ideas(["a dog"])) == len(actions.SCENES)


def test_messages_are_text() -> None:
    page = style.alert(["<img src=x onerror=alert(1)>.png: broken"]) + style.header("<b>", 32, True) + style.hint("<i>")
    assert "<img" not in page and "<b>" not in page and "<i>" not in page
    assert style.alert([]) == ""


def test_examples_are_squares_of_unseen_subjects(studio: Studio) -> None:
    examples = world_examples()
    assert [e.name for e in examples] == ["backpack", "teapot", "dog", "car"]
    assert examples[0].thumbnail().size == (384, 384)
    taken = actions.example(examples[0].pictures, examples[0].captions, studio)
    assert len(taken.pictures) == len(taken.captions) == 4
    assert all(caption.startswith("a backpack ") for caption in taken.captions)
