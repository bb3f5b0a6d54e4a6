"""Images in tar shards, WebDataset layout: members ``<key>.<extension>``, one key an example.

Shards are written deterministically (fixed times and owners, keys in the order given), so equal content is equal
bytes. Members are read into memory by name; nothing is ever extracted to disk, so paths in a hostile tar are inert.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from suti.io.atomic import atomic_path
from suti.io.tars import members


def encode_png(image: np.ndarray | Image.Image) -> bytes:
    """PNG bytes of an image, uint8 ``(H, W, 3)`` or PIL."""
    buffer = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def decode_rgb(data: bytes) -> np.ndarray:
    """uint8 ``(H, W, 3)`` of an image that the pipeline wrote itself. For foreign files use ``suti.io.images``."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def write_shard(path: str | Path, content: Iterable[tuple[str, bytes]]) -> int:
    """Write members ``(name, data)``, e.g. ``("<sample_id>.png", png)``, as one tar. Returns how many."""
    count = 0
    with atomic_path(path) as part, tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in content:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            count += 1
    return count


def iterate_shard(path: str | Path) -> Iterator[tuple[str, bytes]]:
    """Yield ``(name, data)`` of every regular member.

    Raises:
        ValueError: the file is not a readable tar (names the file and the remedy).
    """
    try:
        with tarfile.open(path, "r:") as tar:
            for info in members(tar):
                if info.isfile():
                    stream = tar.extractfile(info)
                    if stream is not None:
                        yield info.name, stream.read()
    except tarfile.TarError as error:
        raise ValueError(f"{path}: not a readable tar shard ({error}); delete it and run again") from error


def read_images(paths: str | Path | Iterable[str | Path]) -> dict[str, np.ndarray]:
    """All images of one or several shards as ``{key: uint8 (H, W, 3)}``; the key is the name without extension."""
    if isinstance(paths, str | Path):
        paths = [paths]
    images: dict[str, np.ndarray] = {}
    for path in paths:
        for name, data in iterate_shard(path):
            if name.endswith((".png", ".jpg", ".jpeg", ".webp")):
                images[name.rsplit(".", 1)[0]] = decode_rgb(data)
    return images


def shard_paths(paths: list[str], shards: int | None) -> list[str]:
    """Paths of a list argument; with ``shards``, each is a pattern whose ``{shard}`` counts from 0.

    Thousands of names do not fit a command line, so a rule passes the pattern of their names instead.
    """
    if shards is None:
        return paths
    return [path.replace("{shard}", str(shard)) for path in paths for shard in range(shards)]
