"""Finished work, kept by what it was made from: a killed run goes on where it was, and nothing is made twice.

A file's name is the hash of all that its content depends on, so whoever finds it may take it. Each holds a record
and pictures, and is whole or absent; a damaged one is removed, and its work done again.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from suti.io.shards import decode_rgb, encode_png, iterate_shard, write_shard

RECORD = "record.json"
Result = TypeVar("Result")


def content_address(what: Any, pictures: Iterable[bytes | np.ndarray] = ()) -> str:
    """32 hex digits of some work: of a JSON value and of pictures, encoded or as arrays.

    Args:
        what: all else that the result depends on: texts, settings, digests of models and code.
        pictures: in their order.
    """
    digest = hashlib.blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=16)
    for picture in pictures:
        digest.update(hashlib.sha256(picture if isinstance(picture, bytes) else _bytes(picture)).digest())
    return digest.hexdigest()


def _bytes(picture: np.ndarray) -> bytes:
    return str(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()


class Finished:
    """A folder of finished work.

    Args:
        folder: made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, address: str) -> Path:
        """File of an address."""
        return self.folder / address[:2] / f"{address}.tar"

    def keep(self, address: str, record: Mapping[str, Any], pictures: Iterable[tuple[str, np.ndarray]]) -> None:
        """Keep a record (JSON) and pictures, uint8 (H, W, 3) by key, whole or not at all."""
        members = [(RECORD, json.dumps(record, sort_keys=True).encode())]
        write_shard(self.path(address), [*members, *((f"{key}.png", encode_png(image)) for key, image in pictures)])

    def find(self, address: str, build: Callable[[dict[str, Any], dict[str, np.ndarray]], Result]) -> Result | None:
        """What was kept at an address, or None if nothing was, or only a damaged file, which is removed.

        Args:
            build: makes the result of the record and the pictures by key; it may raise KeyError, TypeError or
                ValueError of a file that is not whole.
        """
        path = self.path(address)
        if not path.exists():
            return None
        try:
            members = dict(iterate_shard(path))
            record = json.loads(members.pop(RECORD))
            return build(record, {name.removesuffix(".png"): decode_rgb(data) for name, data in members.items()})
        except (ValueError, KeyError, TypeError, OSError, tarfile.TarError):
            path.unlink(missing_ok=True)
            return None
