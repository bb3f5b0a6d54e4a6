from dataclasses import replace

import numpy as np
import pytest

from suti.apprentice.augmentation import Limits, snapshot
from suti.apprentice.data import Subject, make_batch
from suti.config.schema import Apprentice


class Fixed:
    """A generator whose five draws are given: own strength, turn, zoom, right, down."""

    def __init__(self, *draws):
        self.draws = draws

    def uniform(self, size):
        assert size == len(self.draws)
        return np.array(self.draws)


def picture(side=40):
    """A gradient with a white dot right of the middle."""
    y, x = np.mgrid[:side, :side]
    image = np.stack([x, y, np.full_like(x, 100)], -1).astype(np.uint8)
    image[side // 2, side // 2 + 10] = 255
    return image


def dot(image):
    return np.unravel_index(image.astype(int).sum(-1).argmax(), image.shape[:2])


def test_no_strength_returns_the_picture_itself():
    image = picture()
    assert snapshot(image, 0.0, np.random.default_rng(0)) is image
    # a view's own strength may be 0 too
    assert snapshot(image, 1.0, Fixed(0.0, 1.0, 1.0, 1.0, 1.0)) is image


def test_shift_turn_and_zoom_move_a_point_as_they_should():
    image, level = picture(), Limits(nearer=0.0)
    still = snapshot(image, 1.0, Fixed(1.0, 0.5, 0.5, 0.5, 0.5), level)
    assert np.abs(still.astype(int) - image).max() <= 1
    # a shift of .36 of the half width, 20 pixels, is 7.2 pixels; of .25 of the half height, 5
    right = snapshot(image, 1.0, Fixed(1.0, 0.5, 0.5, 1.0, 1.0), level)
    assert dot(right) == (25, 37)
    # half the strength, half the shift
    half = snapshot(image, 0.5, Fixed(1.0, 0.5, 0.5, 1.0, 1.0), level)
    assert dot(half) in ((22, 33), (22, 34), (23, 33), (23, 34))
    level = replace(level, zoom=np.log(1.5))
    nearer = snapshot(image, 1.0, Fixed(1.0, 0.5, 1.0, 0.5, 0.5), level)
    assert abs(dot(nearer)[1] - (20 + 1.5 * 10.5)) < 1.5 and abs(dot(nearer)[0] - 20) <= 1
    turned = snapshot(image, 1.0, Fixed(1.0, 1.0, 0.5, 0.5, 0.5), replace(level, turn=90.0))
    assert abs(dot(turned)[1] - 20) <= 1 and abs(abs(dot(turned)[0] - 20) - 10) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_borders_are_mirrored_not_black(seed):
    image = np.full((16, 24, 3), 200, np.uint8)
    seen = snapshot(image, 1.0, np.random.default_rng(seed))
    assert seen.shape == image.shape and seen.dtype == np.uint8 and (seen == 200).all()


def test_training_sees_other_views_of_the_same_pictures_and_targets():
    rng = np.random.default_rng(0)
    pictures = {f"d{i}": rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for i in range(3)}
    pictures["t"] = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    shown = tuple((f"d{i}", f"a cat {i}") for i in range(3))
    subjects = [Subject(name, shown, (("t", "a cat"),), "a cat", "cat") for name in "abc"]

    def batch(strength, step=7, process=(0, 1)):
        settings = Apprentice(subjects_per_batch=4, targets_per_subject=2, demonstration_augmentation=strength)
        return make_batch(subjects, pictures.__getitem__, pictures.__getitem__, settings, 16, 0, step, process)

    plain, moved, again = batch(0.0), batch(1.0), batch(1.0)
    assert plain.texts == moved.texts and plain.prompts == moved.prompts
    assert (plain.targets == moved.targets).all() and (moved.demonstrations == again.demonstrations).all()
    assert (plain.demonstrations != moved.demonstrations).flatten(1).any(1).all()
    # two processes see what one would
    parts = [batch(1.0, process=(rank, 2)).demonstrations for rank in range(2)]
    assert (moved.demonstrations[:6] == parts[0]).all() and (moved.demonstrations[6:] == parts[1]).all()
