"""Pictures of many shards by key, decoded when asked for."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path
from threading import Lock

import numpy as np

from suti.io.shard_index import ShardIndex
from suti.io.shards import decode_rgb


class PictureStore:
    """``store(key)`` is the picture, uint8 ``(H, W, 3)``. In memory are places, and ``keep_bytes`` of decoded pictures.

    Threads may share a store. With ``only``, other keys of the shards are left out.

    Raises:
        KeyError: no shard has the key.
    """

    def __init__(
        self, paths: Iterable[str | Path], only: Container[str] | None = None, keep_bytes: int = 2**28
    ) -> None:
        self._shards = [ShardIndex(path, only) for path in paths]
        self._places = {key: number for number, shard in enumerate(self._shards) for key in shard}
        self._kept: dict[str, np.ndarray] = {}
        self._room, self._lock = keep_bytes, Lock()

    def __call__(self, key: str) -> np.ndarray:
        picture = self._kept.get(key)
        if picture is None:
            if key not in self._places:
                raise KeyError(
                    f"picture {key!r} is in none of the {len(self._shards)} shards; delete them and run again"
                )
            picture = decode_rgb(self._shards[self._places[key]][key])
            # Draws are uniform, so no picture is worth more than another: the first ones stay, the others are read.
            with self._lock:
                if key not in self._kept and picture.nbytes <= self._room:
                    self._kept[key] = picture
                    self._room -= picture.nbytes
        return picture

    def __len__(self) -> int:
        return len(self._places)
