"""Pictures of many shards by key, decoded when asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from suti.io.shard_index import ShardIndex
from suti.io.shards import decode_rgb


class PictureStore:
    """``store(key)`` is the picture, uint8 ``(H, W, 3)``. Keeps only places in memory, and the latest pictures.

    Raises:
        KeyError: no shard has the key.
    """

    def __init__(self, paths: Iterable[str | Path], keep: int = 50_000) -> None:
        self._shards = [ShardIndex(path) for path in paths]
        self._places = {key: number for number, shard in enumerate(self._shards) for key in shard}
        self._keep = keep
        self._latest: dict[str, np.ndarray] = {}

    def __call__(self, key: str) -> np.ndarray:
        if key not in self._latest:
            if key not in self._places:
                raise KeyError(
                    f"picture {key!r} is in none of the {len(self._shards)} shards; delete them and run again"
                )
            if len(self._latest) >= self._keep:
                self._latest.clear()
            self._latest[key] = decode_rgb(self._shards[self._places[key]][key])
        return self._latest[key]

    def __len__(self) -> int:
        return len(self._places)
