"""Random access to the pictures of a tar shard, without reading the shard into memory."""

from __future__ import annotations

import tarfile
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from suti.io.shards import decode_rgb
from suti.io.tars import members


class ShardIndex(Mapping[str, bytes]):
    """Encoded pictures of a shard by key (the member's name without extension), read from disk when asked
    for.

    With ``only``, other keys are left out of the index. Use ``picture(key)`` for uint8 ``(H, W, 3)``. Only
    for shards that the pipeline wrote itself.

    Raises:
        ValueError: the file is not a readable tar.
        KeyError: no such picture (names the shard).
    """

    def __init__(self, path: str | Path, only: Container[str] | None = None) -> None:
        self.path = Path(path)
        self._places: dict[str, tuple[int, int]] = {}
        try:
            with tarfile.open(path, "r:") as tar:
                for info in members(tar):
                    key = info.name.rsplit(".", 1)[0]
                    if info.isfile() and (only is None or key in only):
                        self._places[key] = (info.offset_data, info.size)
        except tarfile.TarError as error:
            raise ValueError(f"{path}: not a readable tar shard ({error}); delete it and run again") from error

    def __getitem__(self, key: str) -> bytes:
        if key not in self._places:
            raise KeyError(f"{self.path}: no picture {key!r} among {len(self._places)}; delete the shard and run again")
        offset, size = self._places[key]
        with self.path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def picture(self, key: str) -> np.ndarray:
        """uint8 ``(H, W, 3)`` of a picture."""
        return decode_rgb(self[key])


@dataclass(frozen=True)
class Member:
    """One picture of a shard, where the path of a picture in a file of its own could stand."""

    path: Path
    name: str
    shard: ShardIndex = field(compare=False, repr=False)

    @classmethod
    def of(cls, shard: ShardIndex, key: str) -> Member:
        """The picture of a key."""
        return cls(shard.path, key, shard)

    def read(self) -> bytes:
        """The encoded picture."""
        return self.shard[self.name]


def members_by_subject(shard: ShardIndex) -> dict[str, list[Member]]:
    """Pictures of a shard with keys ``SUBJECT__NN`` by subject, in the shard's order."""
    found: dict[str, list[Member]] = {}
    for key in shard:
        found.setdefault(key.rsplit("__", 1)[0], []).append(Member.of(shard, key))
    return found


class LazyPictures(Mapping[str, np.ndarray]):
    """Pictures of a shard by key, uint8 ``(H, W, 3)``, read and decoded when asked for and not kept."""

    def __init__(self, path: str | Path) -> None:
        self._index = ShardIndex(path)

    def __getitem__(self, key: str) -> np.ndarray:
        return self._index.picture(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: object) -> bool:
        return key in self._index


class PicturesBySubject(Mapping[str, list[np.ndarray]]):
    """Pictures of a shard with keys ``SUBJECT__NN`` by subject, in the shard's order, read when asked for."""

    def __init__(self, path: str | Path) -> None:
        self._index = ShardIndex(path)
        self._keys: dict[str, list[str]] = {}
        for key in self._index:
            self._keys.setdefault(key.rsplit("__", 1)[0], []).append(key)

    def __getitem__(self, subject_id: str) -> list[np.ndarray]:
        return [self._index.picture(key) for key in self._keys[subject_id]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, subject_id: object) -> bool:
        return subject_id in self._keys
