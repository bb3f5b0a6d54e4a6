"""Training data in the device's memory: what a trainer makes of a pool's blocks, filled in while it trains."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import torch
from torch import Tensor

from suti.seeds import generator
from suti.small_models.pool import Pool

PATIENCE = 10.0  # seconds for which a run that takes what there is leaves a block to the renderers
AHEAD = 6  # blocks that are read from the pool before the trainer asks

Tensors = dict[str, Tensor]


class Store:
    """Rows of tensors on a device, one a picture of a pool, in the pool's order.

    Either a step may count on a number of pictures (``fresh``): it waits until they are there, and a run can be
    repeated exactly. Or it takes what there is, so that a GPU never waits for renderers (``fresh`` None).

    Args:
        pool: where pictures come from.
        blocks: of the pool that are kept; later epochs use the same ones.
        read: (pool, block) -> tensors on the CPU, first axis pictures. It runs in a thread.
        device: where the rows live.
        encode: what becomes of those tensors on the device; None keeps them.
        fresh: pictures that are added with every step, until all blocks are there; None: whatever is rendered.
    """

    def __init__(
        self,
        pool: Pool,
        blocks: int,
        read: Callable[[Pool, int], Tensors],
        device: torch.device,
        encode: Callable[[Tensors], Tensors] | None = None,
        fresh: float | None = None,
    ) -> None:
        self.pool, self.blocks, self.device, self.fresh = pool, blocks, device, fresh
        self._read, self._encode = read, encode or (lambda tensors: tensors)
        self._rows: Tensors = {}
        self._here = 0
        self._queue: queue.Queue[Tensors | Exception] = queue.Queue(AHEAD)
        self._thread: threading.Thread | None = None

    @property
    def pictures(self) -> int:
        """Pictures that are there."""
        return self._here * self.pool.stream.block

    def _load(self) -> None:
        try:
            for number in range(self.blocks):
                patience = time.monotonic() + PATIENCE if self.fresh is None else 0.0
                while not self.pool.ready(number) and time.monotonic() < patience:
                    time.sleep(0.02)
                self._queue.put(self._read(self.pool, number))
        except Exception as error:  # the trainer's thread raises it
            self._queue.put(error)

    def _add(self) -> None:
        tensors = self._queue.get()
        if isinstance(tensors, Exception):
            raise tensors
        rows = self._encode({name: value.to(self.device) for name, value in tensors.items()})
        size = self.pool.stream.block
        for name, value in rows.items():
            if name not in self._rows:
                shape = (self.blocks * size, *value.shape[1:])
                self._rows[name] = torch.empty(shape, dtype=value.dtype, device=self.device)
            self._rows[name][self._here * size : (self._here + 1) * size] = value
        self._here += 1

    def grow(self, step: int) -> None:
        """Add the blocks that the step waits for, or at most two of those that are there."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._load, daemon=True)
            self._thread.start()
        if self.fresh is not None:
            wanted = min(self.blocks, int(step * self.fresh) // self.pool.stream.block + 1)
            while self._here < wanted:
                self._add()
            return
        added = 0
        while self._here < self.blocks and (self._here == 0 or (added < 2 and not self._queue.empty())):
            self._add()
            added += 1

    def draw(self, name: str, seed: int, step: int, count: int) -> Tensors:
        """``count`` rows drawn by the key (seed, name, step) from the pictures that are there."""
        self.grow(step)
        rows = torch.from_numpy(generator(seed, name, "rows", step).integers(0, self.pictures, count))
        rows = rows.to(self.device)
        return {field: value[rows] for field, value in self._rows.items()}
