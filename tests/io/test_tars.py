"""A tar that is damaged anywhere is never read as a shorter whole one."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from suti.io.pages import read_webdataset
from suti.io.shard_index import ShardIndex
from suti.io.shards import encode_png, iterate_shard, write_shard
from suti.io.tars import members

COUNT = 6


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "shard.tar"
    write_shard(path, ((f"{n}.png", encode_png(rng.integers(0, 256, (9, 9, 3), np.uint8))) for n in range(COUNT)))
    return path


def places(path: Path) -> list[int]:
    """Byte of each member's header, then of the end mark."""
    with tarfile.open(path) as tar:
        found = [info.offset for info in tar]
        return [*found, tar.offset]


def flipped(data: bytes, starts: list[int]) -> bytes:
    place = starts[3] + 4
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


DAMAGE = {
    "one bit of a header": (flipped, "after 3 members, at byte .*damaged header"),
    "cut inside a header": (lambda data, starts: data[: starts[3] + 200], "after 3 members, at byte"),
    "cut between members": (lambda data, starts: data[: starts[3]], "after 3 members.*without its end mark"),
    "a block of zeros": (
        lambda data, starts: data[: starts[3]] + bytes(512) + data[starts[3] + 512 :],
        "after 3 members.*block of zeros, but the file goes on",
    ),
    "no end mark": (lambda data, starts: data[: starts[-1]], f"after {COUNT} members.*cut off"),
    "half a picture": (lambda data, starts: data[: starts[4] + 600], ""),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_no_damage_is_taken_for_the_end(shard: Path, damage: str) -> None:
    change, message = DAMAGE[damage]
    shard.write_bytes(change(shard.read_bytes(), places(shard)))
    for read in (lambda: list(iterate_shard(shard)), lambda: ShardIndex(shard)):
        with pytest.raises(ValueError, match=rf"(?s){shard.name}: not a readable tar shard \(.*{message}"):
            read()
    pictures = list(read_webdataset(shard, max_pixels=10_000))
    assert pictures[-1].page_url == "tar:shard.tar" and len(pictures) > 3
    with pytest.raises(Exception, match=f"shard.tar ends early.*{message}"):
        pictures[-1].load()


def test_whole_tars_of_other_writers_are_read(shard: Path, tmp_path: Path) -> None:
    assert len(list(iterate_shard(shard))) == len(ShardIndex(shard)) == COUNT
    data, end = shard.read_bytes(), places(shard)[-1]
    for padding in (512, 1024, 1 << 16):
        shard.write_bytes(data[:end] + bytes(padding))
        assert len(list(iterate_shard(shard))) == COUNT
    compressed = tmp_path / "shard.tar.gz"
    with tarfile.open(compressed, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a"), io.BytesIO())
    with tarfile.open(compressed) as tar:
        assert [info.name for info in members(tar)] == ["a"]
