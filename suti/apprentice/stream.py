"""Batches made ahead of the training by threads, in the order of the steps whatever the number of threads.

Threads, not processes: what takes the time (reading, decoding, resizing) runs outside Python's lock, all share one
cache of pictures, and nothing passes through shared memory, of which containers have little.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from suti.apprentice.data import Batch


class BatchesAhead:
    """Iterates over the batches of steps ``first`` to ``last``; at most two a worker are held in memory.

    Attributes:
        waited: seconds that the training has waited for batches.
    """

    def __init__(self, make: Callable[[int], Batch], first: int, last: int, workers: int) -> None:
        """``make`` gives the batch of a step and may run in several threads; 0 ``workers``: in the caller's own."""
        self._make, self._first, self._last, self._workers = make, first, last, workers
        self.waited = 0.0

    def __iter__(self) -> Generator[Batch, None, None]:
        if not self._workers:
            for step in range(self._first, self._last):
                yield self._timed(partial(self._make, step))
            return
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="batches")
        ahead: deque[Future[Batch]] = deque()
        try:
            for step in range(self._first, self._last):
                while len(ahead) < 2 * self._workers and step + len(ahead) < self._last:
                    ahead.append(pool.submit(self._make, step + len(ahead)))
                yield self._timed(ahead.popleft().result)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _timed(self, call: Callable[[], Batch]) -> Batch:
        start = time.perf_counter()
        batch = call()
        self.waited += time.perf_counter() - start
        return batch
