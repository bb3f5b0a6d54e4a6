"""The pool: pictures follow from stream and index alone, whoever renders them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suti.small_models.pool import CELLS, Pool, Stream, _locked, fill, interleave, renderers
from suti.world.language import parse
from suti.world.render import render

STREAM = Stream("test", 1, views=2, block=8, scene={"p_accessory": 1.0})


def test_a_block_is_its_keyed_pictures(tmp_path: Path) -> None:
    pool = Pool(tmp_path, STREAM)
    assert not pool.ready(2)
    images, masks = pool.block(2)
    assert pool.ready(2) and images.shape == (8, 64, 64, 3) and masks.shape == (8, CELLS, CELLS)
    index = 2 * 8 + 5
    alone, mask = render([STREAM.subject(index)], [STREAM.scene_of(index)], 64)
    assert np.array_equal(images[5], alone[0])
    assert masks[5].mean() == pytest.approx(255 * mask.mean(), abs=0.5)
    subjects, scenes = pool.truth(2)
    assert subjects[4] == subjects[5] != subjects[3] and scenes[4] != scenes[5]
    assert parse(pool.captions(2)[5]).accessory == scenes[5].accessory is not None


def test_views_put_the_pictures_of_a_subject_in_a_row(tmp_path: Path) -> None:
    pool = Pool(tmp_path, STREAM)
    views = pool.views(1)
    assert views.images.shape == (4, 2, 64, 64, 3)
    assert np.array_equal(views.images[3, 1], pool.block(1)[0][7])
    assert views.scenes[3][1] == STREAM.scene_of(15) and views.subjects[3] == STREAM.subject(15)


def test_other_streams_are_other_pictures_in_other_folders(tmp_path: Path) -> None:
    other = Stream("test", 2, views=2, block=8, scene={"p_accessory": 1.0})
    first, second = Pool(tmp_path, STREAM), Pool(tmp_path, other)
    assert first.folder != second.folder
    assert not np.array_equal(first.block(0)[0], second.block(0)[0])
    with pytest.raises(ValueError, match="not a multiple of views"):
        Stream("test", 0, views=3, block=8)


def test_fill_leaves_what_another_renders(tmp_path: Path) -> None:
    pool = Pool(tmp_path, STREAM)
    with _locked(pool.folder / "000001.lock", wait=True):
        fill(tmp_path, interleave([(STREAM, 3)]))
    assert [pool.ready(i) for i in range(3)] == [True, False, True]


def test_interleave_grows_streams_together() -> None:
    other = Stream("other", 0)
    order = interleave([(STREAM, 4), (other, 2)])
    assert [(stream.name, number) for stream, number in order] == [
        ("test", 0), ("other", 0), ("test", 1), ("test", 2), ("other", 1), ("test", 3),
    ]  # fmt: skip


def test_renderers_fill_the_folder(tmp_path: Path) -> None:
    with renderers(tmp_path, [[(STREAM, 2)]], processes=2):
        images = Pool(tmp_path, STREAM).block(1)[0]  # rendered here or there, the same
    assert np.array_equal(images, Pool(tmp_path / "alone", STREAM).block(1)[0])
