"""Pictures of tar shards by key: only those asked for, a bounded number of bytes in memory, shared by threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from suti.io.picture_store import PictureStore
from suti.io.shards import encode_png, write_shard

PICTURES = {f"p{i:02d}": np.full((4, 4, 3), i, np.uint8) for i in range(20)}  # 48 bytes each


@pytest.fixture
def shards(tmp_path):
    keys = list(PICTURES)
    for number, own in enumerate((keys[:12], keys[12:])):
        write_shard(tmp_path / f"{number}.tar", [(f"{k}.png", encode_png(PICTURES[k])) for k in own])
    return [tmp_path / "0.tar", tmp_path / "1.tar"]


@pytest.mark.parametrize("room", [0, 48 * 5, 2**20])
def test_threads_read_what_was_written_within_the_memory_given(shards, room):
    store = PictureStore(shards, keep_bytes=room)
    assert len(store) == 20
    with ThreadPoolExecutor(4) as pool:
        for key, picture in zip(list(PICTURES) * 5, pool.map(store, list(PICTURES) * 5), strict=True):
            assert np.array_equal(picture, PICTURES[key])
    assert sum(p.nbytes for p in store._kept.values()) == min(room, 48 * 20)


def test_other_keys_are_left_out_and_missing_ones_named(shards):
    store = PictureStore(shards, only={"p01", "p15", "p99"})
    assert len(store) == 2 and np.array_equal(store("p15"), PICTURES["p15"])
    with pytest.raises(KeyError, match="picture 'p02' is in none of the 2 shards"):
        store("p02")
