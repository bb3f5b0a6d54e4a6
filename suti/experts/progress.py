"""Progress of work that is done in groups: how many an hour, and how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from tqdm.auto import tqdm

LAYOUT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


def things_an_hour(groups: Sequence[tuple[int, float]]) -> float:
    """Speed of finished groups, given as (things, seconds) in the order in which they were done.

    The first group also warms up: it loads kernels, fills caches and compiles. It counts only while it is alone.
    """
    counted = groups[1:] or groups
    seconds = sum(taken for _, taken in counted)
    return 3600 * sum(things for things, _ in counted) / seconds if seconds > 0 else 0.0


class GroupBar:
    """A progress bar that moves a group at a time and shows things an hour and the time left.

    Args:
        what: what is counted, in the plural.
        total: all things, those that were done before included.
        done: things that were done before; they took no time.
        options: of ``tqdm``.
    """

    def __init__(
        self, what: str, total: int, done: int = 0, clock: Callable[[], float] = time.perf_counter, **options: Any
    ) -> None:
        self.what, self._clock, self._left = what, clock, total - done
        self.groups: list[tuple[int, float]] = []
        self._bar = tqdm(total=total, initial=done, bar_format=LAYOUT, **options)
        self._last = clock()

    def update(self, things: int) -> None:
        """A group of so many things is done."""
        now = self._clock()
        self.groups.append((things, now - self._last))
        self._last = now
        self._left -= things
        self._bar.set_postfix_str(self.text(self._left), refresh=False)
        self._bar.update(things)

    def text(self, left: int) -> str:
        """'1440 experts/h, 02:05 left', for ``left`` things that are not done."""
        hour = things_an_hour(self.groups)
        rest = f", {tqdm.format_interval(3600 * left / hour)} left" if hour else ""
        return f"{hour:.0f} {self.what}/h{rest}"

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.refresh()
        self._bar.close()
