"""Pictures: deterministic, independent of the batch, consistent between resolutions."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from suti.world.accessories import DRESS
from suti.world.classes import FIGURES, Anchors
from suti.world.corpus import corpus_batch, views
from suti.world.render import render
from suti.world.scenes import Pose, Scene, sample_scene
from suti.world.subjects import colour_name, keyed_rng, sample_subject
from suti.world.vocabulary import ACCESSORIES, BACKGROUNDS, CLASSES, COLOURS, EFFECTS, STUDIO, STYLES


@pytest.fixture(scope="module")
def pair() -> tuple[dict, dict]:
    """The same 384 pictures at 64 and at 128 px."""
    return corpus_batch(1, 0, 384, 64), corpus_batch(1, 0, 384, 128)


def test_shapes_types_and_ranges(pair: tuple[dict, dict]) -> None:
    for batch, size in zip(pair, (64, 128), strict=True):
        assert batch["images"].shape == (384, size, size, 3) and batch["images"].dtype == np.uint8
        assert batch["masks"].shape == (384, size, size) and batch["masks"].dtype == np.float32
        assert batch["masks"].min() >= 0 and batch["masks"].max() <= 1
        assert len(batch["captions"]) == len(batch["subjects"]) == len(batch["scenes"]) == 384


def test_small_pictures_are_box_averages_of_large_ones(pair: tuple[dict, dict]) -> None:
    small, large = (batch["images"].astype(float) for batch in pair)
    average = large.reshape(384, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    difference = np.abs(average - small).mean(axis=(1, 2, 3))
    assert difference.mean() < 2
    assert np.quantile(difference, 0.99) < 4
    assert difference.max() < 5


def test_masks_cover_a_good_part_of_the_frame(pair: tuple[dict, dict]) -> None:
    for batch in pair:
        share = batch["masks"].mean(axis=(1, 2))
        assert share.min() > 0.15 and share.max() < 0.70


def test_the_stream_is_deterministic_and_moves_on(pair: tuple[dict, dict]) -> None:
    again = corpus_batch(1, 0, 64, 64)
    assert np.array_equal(again["images"], pair[0]["images"][:64])
    assert again["captions"] == pair[0]["captions"][:64]
    other = corpus_batch(1, 1, 64, 64)
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
    assert {s.background for s in scenes} == {*BACKGROUNDS, STUDIO}
    assert {s.accessory for s in scenes} == {None, *ACCESSORIES}
    assert {s.style for s in scenes} == {"photo", *STYLES}
    assert {s.effect for s in scenes} == {None, *EFFECTS}
    assert {s.recolour for s in scenes} <= {None, *COLOURS}
    assert 0.10 < np.mean([s.recolour is not None for s in scenes]) < 0.22
    assert 0.15 < np.mean([s.place is None for s in scenes]) < 0.35
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
    assert mask.shape == (1, 64, 64)


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
    assert images.shape == (0, 64, 64, 3) and masks.shape == (0, 64, 64)


def test_what_is_worn_does_not_hide_who_wears_it() -> None:
    """Share of the silhouette and of the decal that an accessory covers, from the distances themselves."""
    line = (np.arange(80, dtype=np.float32) + 0.5) * np.float32(2.4 / 80) - np.float32(1.2)
    u, v = (grid[None] for grid in np.meshgrid(line, line))
    for name in CLASSES:
        for i in range(6):
            proportions = sample_subject("worn", i, name).proportions
            figure = FIGURES[name](u, v, [np.full((1, 1, 1), p, np.float32) for p in proportions])
            anchors = Anchors(*(tuple(np.full((1, 1, 1), x, np.float32) for x in at) for at in astuple(figure.anchors)))
            x, y, width, height = (float(np.squeeze(part)) for part in anchors.body)
            decal = np.hypot(u - x, v - y) < np.clip(min(width, height) * 0.72, 0.15, 0.20)
            for accessory, dress in DRESS.items():
                covered = np.min([d for d, _ in dress(u, v, anchors, figure.union)], axis=0) < 0.026
                inside = figure.union < 0
                assert (covered & inside).sum() < 0.44 * inside.sum(), (name, accessory)
                if name != "clock":  # whose face takes the decal's place
                    assert (covered & decal).sum() < 0.50 * decal.sum(), (name, accessory)


def test_a_sketch_has_no_colours_and_a_wet_subject_keeps_its_own() -> None:
    drawn = [sample_subject("wet", i, "teapot") for i in range(99)]
    subjects = [subject for subject in drawn if (subject.pattern, subject.decal) == ("plain", "none")][:8]
    sketches, _ = render(subjects, [Scene("jungle", style="pencil_sketch")] * len(subjects))
    assert np.ptp(sketches.astype(int), axis=-1).max() < 16
    dry, _ = render(subjects, [Scene("studio")] * len(subjects))
    wet, _ = render(subjects, [Scene("studio", effect="wet")] * len(subjects))
    for before, after in zip(dry, wet, strict=True):
        pixels = [
            colour_name(tuple(np.median(image[30:46, 26:38].reshape(-1, 3), axis=0) / 255)) for image in (before, after)
        ]
        assert pixels[0] == pixels[1]
