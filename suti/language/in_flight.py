"""Rows of a language stage, several at a time: results in the rows' order, counts added, and a limit of fallbacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from suti.language.backends.base import BackendError
from suti.language.schema import Log

FEW = 20  # questions of which no share is judged
Row = TypeVar("Row")
Result = TypeVar("Result")


def in_flight(
    rows: Sequence[Row], work: Callable[[Row, Log], Result], log: Log, concurrency: int, most_fallbacks: float,
    description: str,
) -> list[Result]:  # fmt: skip
    """What ``work`` makes of each row, in order, with as many rows at a time as ``concurrency``.

    Args:
        work: called from several threads, each with a log of its own, which is added to ``log``. A row must depend on
            no other, so their order in time changes nothing.
        most_fallbacks: share of the questions that the grammar may answer in the model's place.
        description: of the progress bar.

    Raises:
        BackendError: the model cannot be reached, or too many of its answers are unusable. Rows that are being worked
            on are ended first, the others are not begun.
    """

    def one(row: Row) -> tuple[Result, Log]:
        own = Log(log.backend, log.model)
        return work(row, own), own

    results: list[Result] = []
    pool = ThreadPoolExecutor(concurrency)
    try:
        # A window: a part may have a million rows, and a future of each would wait in memory.
        waiting: list[Future[tuple[Result, Log]]] = []
        remaining = iter(rows)
        with tqdm(total=len(rows), desc=description, mininterval=5) as progress:
            while True:
                while len(waiting) < 4 * concurrency and (row := next(remaining, None)) is not None:
                    waiting.append(pool.submit(one, row))
                if not waiting:
                    return results
                result, own = waiting.pop(0).result()
                results.append(result)
                log.add(own)
                check_fallbacks(log, most_fallbacks)
                progress.update()
                progress.set_postfix_str(f"{sum(log.fallbacks.values())} fallbacks", refresh=False)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def check_fallbacks(log: Log, most: float) -> None:
    """Raise if the grammar answers more than this share of the questions, of which there are at least ``FEW``.

    Raises:
        BackendError: with the reasons, the most frequent first.
    """
    fallbacks = sum(log.fallbacks.values())
    if log.requests < FEW or fallbacks <= most * log.requests:
        return
    reasons = ", ".join(f"{reason} {count}" for reason, count in log.fallbacks.most_common(3))
    raise BackendError(
        f"language: {fallbacks} of {log.requests} questions got no usable answer of {log.model!r} ({reasons}), "
        f"more than language.max_fallback_share of {most:g}; look at the server and its model, or raise the limit"
    )
