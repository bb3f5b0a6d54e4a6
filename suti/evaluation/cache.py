"""The embedding cache: rows on disk by the content of what was embedded, shared by all protocols and runs.

A store belongs to one encoder in one state (see ``suti/evaluation/embedding.py``). It is a folder of small
safetensors files, each whole or absent, so a killed run keeps what was finished. A damaged file is dropped and
its rows are computed again. Two processes may write at once: equal content has equal names.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from suti.io.atomic import atomic_path, write_json

KEY_BYTES = 16
MERGE = 32  # files in a store above which they are merged into one
RACY_SECONDS = 2.0  # a file changed this recently may change again without its time stamp showing it
FILES = "files.json"
logger = logging.getLogger(__name__)


def content_key(*parts: bytes) -> str:
    """32 hex digits of some bytes."""
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


class RowStore:
    """Rows (N, D) of one encoder by key, in memory and in a folder.

    Args:
        folder: place of its files; None keeps rows in memory alone.
        merge_above: files above which they are merged into one.
    """

    def __init__(self, folder: Path | None, merge_above: int = MERGE) -> None:
        self.folder = folder
        self._rows: dict[str, np.ndarray] = {}
        self.dropped = 0
        files = sorted(folder.glob("*.safetensors")) if folder is not None and folder.is_dir() else []
        for file in files:
            self._read(file)
        if folder is not None and len(files) > merge_above:
            self._merge(folder, files)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def missing(self, keys: Sequence[str]) -> list[str]:
        """The distinct keys that have no row, in the order first seen."""
        return [key for key in dict.fromkeys(keys) if key not in self._rows]

    def take(self, keys: Sequence[str]) -> np.ndarray:
        """(N, D) rows of N keys.

        Raises:
            KeyError: one has no row.
        """
        if not keys:
            return np.zeros((0, 0), np.float32)
        return np.stack([self._rows[key] for key in keys])

    def add(self, keys: Sequence[str], rows: np.ndarray) -> None:
        """Keep rows (N, D) under N keys, in one new file.

        Raises:
            ValueError: a number is not finite; the encoder is broken, and its rows would stay.
        """
        if not np.isfinite(rows).all():
            raise ValueError(f"{self.folder or 'embeddings'}: an encoder gave numbers that are not finite; check it")
        self._keep(keys, rows)
        if self.folder is not None and len(keys):
            self._write(self.folder, list(keys), rows)

    def _keep(self, keys: Sequence[str], rows: np.ndarray) -> None:
        self._rows.update(zip(keys, rows, strict=True))

    def _write(self, folder: Path, keys: list[str], rows: np.ndarray) -> Path:
        table = np.frombuffer(bytes.fromhex("".join(keys)), np.uint8).reshape(len(keys), KEY_BYTES)
        rows = np.ascontiguousarray(rows)
        check = np.frombuffer(bytes.fromhex(content_key(table.tobytes(), rows.tobytes())), np.uint8)
        path = folder / f"{content_key(table.tobytes())}.safetensors"
        with atomic_path(path) as part:
            part.write_bytes(safetensors.numpy.save({"keys": table, "rows": rows, "check": check}))
        return path

    def _read(self, file: Path) -> None:
        try:
            # not mapped into memory: a file that another program cuts short would kill this one
            content = safetensors.numpy.load(file.read_bytes())
            table, rows, check = content["keys"], content["rows"], content["check"]
            if check.tobytes().hex() != content_key(table.tobytes(), rows.tobytes()) or len(table) != len(rows):
                raise ValueError("its checksum differs")
            self._keep([row.tobytes().hex() for row in table], rows)
        except FileNotFoundError:
            return  # another process has merged it
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            logger.warning("%s: damaged (%s); its embeddings are computed again", file, str(error)[:100])
            self.dropped += 1
            file.unlink(missing_ok=True)

    def _merge(self, folder: Path, files: list[Path]) -> None:
        if self._rows:
            kept = self._write(folder, list(self._rows), np.stack(list(self._rows.values())))
            for file in files:
                if file != kept:
                    file.unlink(missing_ok=True)


class FileKeys:
    """Content keys of files, remembered by their size and times, so that a second run reads none of them.

    A file counts as unchanged while its size, inode and both time stamps are what they were, as git and
    Snakemake hold it. One that was changed within the last seconds before it was read is not remembered.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / FILES if folder is not None else None
        self._known: dict[str, list] = {}
        self._changed = False
        if self._path is not None and self._path.is_file():
            try:
                known = json.loads(self._path.read_text(encoding="utf-8"))
                self._known = {k: v for k, v in known.items() if isinstance(v, list) and len(v) == 5}
            except (ValueError, OSError, AttributeError) as error:
                logger.warning("%s: damaged (%s); files are read again", self._path, str(error)[:100])

    def known(self, path: Path) -> str | None:
        """The key of a file that has not changed since it was read, else None."""
        remembered = self._known.get(str(path.absolute()))
        try:
            return remembered[4] if remembered and remembered[:4] == _state(path) else None
        except OSError:
            return None

    def remember(self, path: Path, data: bytes) -> str:
        """The key of a file's bytes, just read."""
        key, state = content_key(data), _state(path)
        if state[0] == len(data) and max(state[1], state[2]) < (time.time() - RACY_SECONDS) * 1e9:
            self._known[str(path.absolute())] = [*state, key]
            self._changed = True
        return key

    def key(self, path: Path) -> str:
        """The key of a file, read if need be.

        Raises:
            OSError: it cannot be read.
        """
        return self.known(path) or self.remember(path, path.read_bytes())

    def save(self) -> None:
        """Write what is remembered."""
        if self._path is not None and self._changed:
            write_json(self._path, self._known)
            self._changed = False


def _state(path: Path) -> list[int]:
    state = path.stat()
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
