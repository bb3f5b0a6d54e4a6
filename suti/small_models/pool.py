"""A pool of rendered pictures on disk that all trainers share: keyed by index, rendered once, read many times.

Picture i of a stream follows from the stream and i alone: subject, scene, caption and pixels are the same in any
process. Renderers fill a folder block by block; a trainer that asks for a block waits for whoever renders it, or
renders it itself, so a pool needs no renderers to be right. They make it fast: a GPU reads pictures much sooner than
one core draws them.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from suti.io.atomic import atomic_path, read_json, write_json
from suti.world.language import caption
from suti.world.render import render
from suti.world.scenes import Scene, sample_scene
from suti.world.subjects import Subject, keyed_rng, sample_subject

if TYPE_CHECKING:
    from suti.small_models.views import Views

CELLS = 16  # side of the stored masks: a cell of the base's UNet


@dataclass(frozen=True)
class Stream:
    """An endless series of pictures.

    ``size``: side in pixels, a multiple of 32. ``views``: so many consecutive pictures show one subject. ``block``:
    pictures a file, a multiple of ``views``. ``scene``: arguments of ``sample_scene``, e.g. ``{"p_accessory": 0.6}``.
    """

    name: str
    seed: int
    size: int = 64
    views: int = 1
    block: int = 512
    scene: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.block % self.views:
            raise ValueError(f"stream {self.name}: block {self.block} is not a multiple of views {self.views}")

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """All that the pictures depend on, as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    def _rng(self, what: str, index: int) -> np.random.Generator:
        return keyed_rng("pool", self.name, self.seed, what, index)

    def subject(self, index: int) -> Subject:
        """The subject of picture ``index``."""
        return sample_subject(f"pool-{self.name}-{self.seed}", index // self.views)

    def scene_of(self, index: int) -> Scene:
        """The scene of picture ``index``."""
        return sample_scene(self._rng("scene", index), **self.scene)

    def caption(self, index: int) -> str:
        """A true caption of picture ``index``, as ``suti.world.language.caption`` words it."""
        return caption(self.subject(index), self.scene_of(index), self._rng("caption", index))

    def rows(self, block: int) -> range:
        """Indices of the pictures of a block."""
        return range(block * self.block, (block + 1) * self.block)


class Pool:
    """The pictures of one stream, read from and written to ``folder``; any number of processes may share it.

    None is a folder of its own, removed with the object.
    """

    def __init__(self, folder: str | Path | None, stream: Stream) -> None:
        self.stream = stream
        if folder is None:
            self._own = TemporaryDirectory()
            folder = self._own.name
        # A change of the stream is another folder: old pictures are never taken for new ones.
        self.folder = Path(folder) / f"{stream.name}-{keyed_rng(stream.key).integers(2**32):08x}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._truth = lru_cache(maxsize=8)(self._draw_truth)

    def _path(self, block: int, what: str) -> Path:
        return self.folder / f"{what}-{block:06d}.npy"

    def ready(self, block: int) -> bool:
        """Whether a block can be read at once."""
        return self._path(block, "images").exists()

    def render(self, block: int, wait: bool = True) -> None:
        """Render a block unless it is there. If another process is at it: wait for that one, or leave it be."""
        if self.ready(block):
            return
        with _locked(self.folder / f"{block:06d}.lock", wait) as mine:
            if not mine or self.ready(block):
                return
            subjects, scenes = self._draw_truth(block)
            images, masks = render(subjects, scenes, self.stream.size)
            side = self.stream.size // CELLS
            cells = masks.reshape(len(masks), CELLS, side, CELLS, side).mean((2, 4)) * 255
            # The pictures come last: a block whose pictures are there is whole.
            captions = [self.stream.caption(i) for i in self.stream.rows(block)]
            write_json(self.folder / f"captions-{block:06d}.json", captions)
            for what, array in (("masks", cells.round().astype(np.uint8)), ("images", images)):
                with atomic_path(self._path(block, what)) as part, part.open("wb") as stream:
                    np.save(stream, array)

    def block(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Pictures, uint8 ``(block, size, size, 3)``, and masks, uint8 ``(block, 16, 16)``, of a block.

        A mask's cell is 255 times the share of it that shows the subject or what it wears. Both are memory-mapped
        and read-only. Waits for the block, or renders it.
        """
        self.render(number)
        return tuple(np.load(self._path(number, what), mmap_mode="r") for what in ("images", "masks"))

    def _draw_truth(self, block: int) -> tuple[list[Subject], list[Scene]]:
        rows = self.stream.rows(block)
        return [self.stream.subject(i) for i in rows], [self.stream.scene_of(i) for i in rows]

    def truth(self, block: int) -> tuple[list[Subject], list[Scene]]:
        """Subject and scene of every picture of a block; the last few blocks asked for are kept."""
        return self._truth(block)

    def captions(self, block: int) -> list[str]:
        """A true caption of every picture of a block. Waits as ``block`` does."""
        self.render(block)
        return read_json(self.folder / f"captions-{block:06d}.json")

    def views(self, number: int) -> Views:
        """A block as the companions' trainers take it: ``block / views`` subjects with ``views`` pictures each."""
        from suti.small_models.views import Views  # it loads torch, which renderers do without

        images, _ = self.block(number)
        subjects, scenes = self.truth(number)
        n, size = self.stream.views, self.stream.size
        rows = [scenes[i : i + n] for i in range(0, len(scenes), n)]
        return Views(np.asarray(images).reshape(-1, n, size, size, 3), subjects[::n], rows)


@contextmanager
def _locked(path: Path, wait: bool) -> Iterator[bool]:
    """Hold a lock file; yields whether it is held. The system releases it if the process dies."""
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def interleave(wanted: Sequence[tuple[Stream, int]]) -> list[tuple[Stream, int]]:
    """Order in which to render ``blocks`` blocks of each stream: all streams grow together, in proportion."""
    rows = [((number + 0.5) / blocks, at, stream, number)
            for at, (stream, blocks) in enumerate(wanted) for number in range(blocks)]  # fmt: skip
    return [(stream, number) for _, _, stream, number in sorted(rows, key=lambda row: row[:2])]


def fill(folder: str | Path, order: Sequence[tuple[Stream, int]]) -> None:
    """Render the blocks of ``order`` that nobody else renders, in that order. Returns when none is left."""
    pools = {stream: Pool(folder, stream) for stream in dict.fromkeys(stream for stream, _ in order)}
    for stream, number in order:
        pools[stream].render(number, wait=False)


@contextmanager
def renderers(folder: str | Path, phases: Sequence[Sequence[tuple[Stream, int]]], processes: int) -> Iterator[None]:
    """Run processes that fill the pool while the block runs; they end with it.

    Args:
        folder: of the pool.
        phases: rendered one after the other; each is a list of (stream, blocks from the first on), grown together.
        processes: how many; each uses one core.
    """
    text = json.dumps([[[asdict(stream), blocks] for stream, blocks in phase] for phase in phases])
    command = [sys.executable, "-m", "suti.small_models.pool", "--folder", str(folder), "--phases", text]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    running = [Popen(command, env=environment) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """One renderer: ``python -m suti.small_models.pool --folder FOLDER --phases JSON``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--phases", required=True, help="[[[stream, blocks], ...], ...] as JSON")
    args = parser.parse_args(arguments)
    os.nice(5)  # trainers go first where there are more processes than cores
    for phase in json.loads(args.phases):
        fill(args.folder, interleave([(Stream(**stream), blocks) for stream, blocks in phase]))


if __name__ == "__main__":
    main()
