"""Captions and prompts: true, and understood again."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import pytest

from suti.world.alttext import noisy_alt_text, split_words
from suti.world.language import (
    DREAMBENCH_LIVE_TEMPLATES,
    DREAMBENCH_OBJECT_TEMPLATES,
    PromptTruth,
    caption,
    describe,
    parse,
    phrase,
    scene_phrase,
    words,
)
from suti.world.scenes import Scene, sample_scene
from suti.world.subjects import colour_name, keyed_rng, sample_subject
from suti.world.vocabulary import ACCESSORIES, BACKGROUNDS, CLASSES, COLOURS, EFFECTS, STYLES

SHARED = Path(os.environ.get("SUTI_SHARED", Path(__file__).resolve().parents[3] / "shared"))
DREAMBENCH = SHARED / "data/dreambench/dataset/prompts_and_classes.txt"


def test_every_prompt_of_one_field_or_two_round_trips() -> None:
    values = {
        "background": BACKGROUNDS,
        "accessory": ACCESSORIES,
        "style": STYLES,
        "recolour": COLOURS,
        "effect": EFFECTS,
    }
    for class_name in CLASSES:
        assert parse(phrase(class_name)) == PromptTruth(class_name)
    for (a, names_a), (b, names_b) in itertools.combinations(values.items(), 2):
        for x, y in itertools.product(names_a, names_b):
            for asked in ({a: x}, {b: y}, {a: x, b: y}):
                assert parse(phrase("duck", **asked)) == PromptTruth("duck", **asked)


def test_drawn_scenes_round_trip() -> None:
    rng = keyed_rng("round trip")
    for i in range(2000):
        subject, scene = sample_subject(0, i), sample_scene(rng)
        truth = parse(scene_phrase(subject, scene))
        assert truth.class_name == subject.class_name
        assert (truth.background, truth.accessory) == (scene.place, scene.accessory)
        assert (truth.style or "photo", truth.recolour, truth.effect) == (
            scene.style,
            scene.recolour,
            scene.effect,
        )


def test_captions_are_true() -> None:
    rng = keyed_rng("captions")
    said = unplaced = 0
    for i in range(2000):
        subject, scene = sample_subject(0, i), sample_scene(rng)
        truth = parse(caption(subject, scene, rng))
        assert truth.accessory == scene.accessory and truth.effect == scene.effect
        assert truth.background == scene.place
        assert truth.pattern in (None, subject.pattern)
        if scene.style == "pencil_sketch":
            assert truth.recolour is None
        else:
            assert truth.recolour in ((scene.recolour,) if scene.recolour else (None, colour_name(subject.primary)))
        said, unplaced = said + (truth.recolour is not None), unplaced + (truth.background is None)
    assert 0.45 < said / 2000 < 0.65 and 0.15 < unplaced / 2000 < 0.35


def test_articles() -> None:
    assert phrase("cat", recolour="orange") == "an orange cat"
    assert phrase("cat", style="pixel_art") == "pixel art of a cat"
    assert phrase("boot", effect="cube_shaped", background="snow") == "a cube shaped boot in the snow"


@pytest.mark.parametrize("prompt", ["a zebra in the snow", "a cat in the snow today", "teapot", "", "a red", "an"])
def test_other_prompts_are_errors(prompt: str) -> None:
    with pytest.raises(ValueError, match="prompt: "):
        parse(prompt)


def test_the_templates_are_those_of_dreambench() -> None:
    assert len(DREAMBENCH_OBJECT_TEMPLATES) == len(DREAMBENCH_LIVE_TEMPLATES) == 25
    if not DREAMBENCH.exists():
        pytest.skip(f"{DREAMBENCH} is not here; the facts cannot be compared")
    lines = re.findall(r"^'(a .*)'\.format", DREAMBENCH.read_text(), re.M)
    facts = [line.replace("{0} {1}", "{}") for line in lines]
    assert tuple(facts[:25]) == DREAMBENCH_OBJECT_TEMPLATES
    assert tuple(facts[25:]) == DREAMBENCH_LIVE_TEMPLATES


def test_every_template_can_be_drawn() -> None:
    for template in DREAMBENCH_OBJECT_TEMPLATES + DREAMBENCH_LIVE_TEMPLATES:
        prompt = template.format("vase")
        truth = parse(prompt)
        fields = {name: value for name, value in vars(truth).items() if value is not None}
        assert phrase(**fields) == prompt and len(fields) == 2


def test_words_hold_all_that_is_said() -> None:
    known = set(words())
    assert words() == sorted(known)
    rng = keyed_rng("words")
    for i in range(1000):
        subject, scene = sample_subject(0, i), sample_scene(rng)
        texts = (caption(subject, scene, rng), describe(subject), noisy_alt_text(subject, rng) or "")
        for text in texts:
            assert set(split_words(text)) <= known, text


def test_alt_texts_are_noisy_but_mostly_name_the_class() -> None:
    rng = keyed_rng("alt")
    texts = [noisy_alt_text(sample_subject(0, i, "clock"), rng) for i in range(2000)]
    present = [text for text in texts if text is not None]
    assert 0.07 < 1 - len(present) / 2000 < 0.13
    assert 0.80 < sum("clock" in text.lower() for text in present) / len(present) < 0.97
    assert any("<" in text for text in present) and any("ignore all previous" in text.lower() for text in present)


def test_a_recolouring_is_always_named() -> None:
    rng = keyed_rng("recolour")
    scene = Scene("snow", recolour="green")
    subject = sample_subject(0, 0, "car")
    assert all("green" in caption(subject, scene, rng, attributes=0) for _ in range(20))
