"""Pictures: deterministic, independent of the batch, consistent between resolutions."""

from __future__ import annotations

import numpy as np
import pytest

from suti.world.corpus import corpus_batch, views
from suti.world.render import render
from suti.world.scenes import Pose, Scene, sample_scene
from suti.world.subjects import colour_name, keyed_rng, sample_subject
from suti.world.vocabulary import ACCESSORIES, BACKGROUNDS, CLASSES, COLOURS, EFFECTS, STYLES


@pytest.fixture(scope="module")
def pair() -> tuple[dict, dict]:
    """The same 384 pictures at 32 and at 64 px."""
    return corpus_batch(1, 0, 384, 32), corpus_batch(1, 0, 384, 64)


def test_shapes_types_and_ranges(pair: tuple[dict, dict]) -> None:
    for batch, size in zip(pair, (32, 64), strict=True):
        assert batch["images"].shape == (384, size, size, 3) and batch["images"].dtype == np.uint8
        assert batch["masks"].shape == (384, size, size) and batch["masks"].dtype == np.float32
        assert batch["masks"].min() >= 0 and batch["masks"].max() <= 1
        assert len(batch["captions"]) == len(batch["subjects"]) == len(batch["scenes"]) == 384


def test_small_pictures_are_box_averages_of_large_ones(pair: tuple[dict, dict]) -> None:
    small, large = (batch["images"].astype(float) for batch in pair)
    average = large.reshape(384, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    difference = np.abs(average - small).mean(axis=(1, 2, 3))
    assert difference.mean() < 2
    assert np.quantile(difference, 0.99) < 4
    assert difference.max() < 5


def test_masks_cover_a_good_part_of_the_frame(pair: tuple[dict, dict]) -> None:
    for batch in pair:
        share = batch["masks"].mean(axis=(1, 2))
        assert share.min() > 0.15 and share.max() < 0.70


def test_the_stream_is_deterministic_and_moves_on(pair: tuple[dict, dict]) -> None:
    again = corpus_batch(1, 0, 64, 32)
    assert np.array_equal(again["images"], pair[0]["images"][:64])
    assert again["captions"] == pair[0]["captions"][:64]
    other = corpus_batch(1, 1, 64, 32)
    assert not {s.subject_id for s in other["subjects"]} & {s.subject_id for s in again["subjects"]}


def test_neighbours_and_order_do_not_matter(pair: tuple[dict, dict]) -> None:
    subjects, scenes = pair[0]["subjects"], pair[0]["scenes"]
    order = np.random.default_rng(0).permutation(384)[:150]
    images, masks = render([subjects[i] for i in order], [scenes[i] for i in order])
    assert np.array_equal(images, pair[0]["images"][order])
    assert np.array_equal(masks, pair[0]["masks"][order])
    for i in order[:24]:
        alone, _ = render([subjects[i]], [scenes[i]])
        assert np.array_equal(alone[0], pair[0]["images"][i])


def test_the_corpus_shows_everything(pair: tuple[dict, dict]) -> None:
    scenes, subjects = pair[0]["scenes"], pair[0]["subjects"]
    assert {s.class_name for s in subjects} == set(CLASSES)
    assert {s.background for s in scenes} == set(BACKGROUNDS)
    assert {s.accessory for s in scenes} == {None, *ACCESSORIES}
    assert {s.style for s in scenes} == {"photo", *STYLES}
    assert {s.effect for s in scenes} == {None, *EFFECTS}
    assert {s.recolour for s in scenes} <= {None, *COLOURS}
    assert 0.05 < np.mean([s.recolour is not None for s in scenes]) < 0.15
    assert 0.35 < np.mean([s.accessory is not None for s in scenes]) < 0.55


def test_a_pool_of_subjects_is_drawn_from() -> None:
    assert len({s.subject_id for s in corpus_batch(0, 0, 64, 32, subject_pool=5)["subjects"]}) == 5
    pool = [sample_subject("own", i) for i in range(3)]
    assert set(corpus_batch(0, 0, 32, 32, subject_pool=pool)["subjects"]) == set(pool)


def test_views_show_one_subject_in_many_scenes() -> None:
    subject = sample_subject(0, 0, "cat")
    batch = views(subject, 6, keyed_rng("views"), size=64, accessory=None)
    assert batch["images"].shape == (6, 64, 64, 3)
    assert len(set(batch["scenes"])) == 6
    assert all("cat" in caption and "wearing" not in caption for caption in batch["captions"])


@pytest.mark.parametrize("class_name", CLASSES)
def test_every_class_wears_every_accessory_visibly(class_name: str) -> None:
    subject = sample_subject("wear", 1, class_name)
    bare, mask = render([subject], [Scene("snow")])
    scenes = [Scene("snow", accessory=name) for name in ACCESSORIES]
    dressed, _ = render([subject] * len(scenes), scenes)
    flat = dressed.reshape(len(scenes), -1).astype(float)
    for i in range(len(scenes)):
        assert np.abs(dressed[i].astype(float) - bare[0]).mean() > 2
        for j in range(i):
            assert np.abs(flat[i] - flat[j]).mean() > 2
    assert mask.shape == (1, 32, 32)


def test_styles_and_effects_change_the_picture() -> None:
    subject = sample_subject(0, 3)
    plain = Scene("city", pose=Pose())
    scenes = [plain, *(Scene("city", style=s) for s in STYLES), *(Scene("city", effect=e) for e in EFFECTS)]
    images, _ = render([subject] * len(scenes), scenes)
    for image in images[1:]:
        assert np.abs(image.astype(float) - images[0]).mean() > 3


@pytest.mark.parametrize("colour", COLOURS)
def test_recolouring_paints_the_primary_colour(colour: str) -> None:
    subject = next(
        s for s in (sample_subject("re", i, "teapot") for i in range(99)) if s.pattern == "plain" and s.decal == "none"
    )
    images, _ = render([subject], [Scene("white_rug", recolour=colour)], 64)
    r, g, b = np.median(images[0, 30:46, 26:38].reshape(-1, 3), axis=0) / 255
    assert colour_name((r, g, b)) == colour


def test_backgrounds_vary_by_seed_alone() -> None:
    subject = sample_subject(0, 1)
    for name in BACKGROUNDS:
        scenes = [Scene(name, background_seed=i) for i in (1, 2, 1)]
        images, _ = render([subject] * 3, scenes)
        assert np.array_equal(images[0], images[2])
        assert 0.5 < np.abs(images[0].astype(float) - images[1]).mean() < 60


def test_given_fields_do_not_shift_the_others() -> None:
    free = sample_scene(keyed_rng("scene", 1))
    fixed = sample_scene(keyed_rng("scene", 1), background="snow", accessory="chef", style="photo")
    assert (fixed.background, fixed.accessory, fixed.style) == ("snow", "chef", "photo")
    assert (fixed.pose, fixed.background_seed, fixed.recolour) == (
        free.pose,
        free.background_seed,
        free.recolour,
    )


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="1 subjects but 0 scenes"):
        render([sample_subject(0, 0)], [])
    with pytest.raises(ValueError, match="size 48 is not a multiple of 32"):
        render([sample_subject(0, 0)], [Scene("snow")], 48)


def test_an_empty_batch_is_fine() -> None:
    images, masks = render([], [])
    assert images.shape == (0, 32, 32, 3) and masks.shape == (0, 32, 32)
