"""What K experts draw for their steps: pictures, noise and times, ahead of the device that uses them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from suti.diffusion.schedules import Schedule

Draws = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

AHEAD = 2  # steps drawn while the device works on one; more would only hold memory


def step_draws(
    generators: Sequence[torch.Generator], sizes: Sequence[int], rows: int, shape: Sequence[int], schedule: Schedule,
    pinned: bool = False,
) -> Draws:  # fmt: skip
    """One step of K experts, each from its own generator, in the order in which a lone expert draws.

    Args:
        generators: K CPU generators; they move on.
        sizes: number of pictures of each subject.
        rows: images an expert and step.
        shape: of one image.
        schedule: of the times.
        pinned: in memory that a GPU reads while the process goes on.

    Returns:
        Pictures ``(K, rows)``, numbered through all subjects; standard normal noise ``(K, rows, *shape)``; times
        ``(K, rows)``.
    """
    count = len(generators)
    picks = torch.empty((count, rows), dtype=torch.long, pin_memory=pinned)
    noises = torch.empty((count, rows, *shape), pin_memory=pinned)
    times = []
    start = 0
    for expert, (draw, size) in enumerate(zip(generators, sizes, strict=True)):
        picks[expert].random_(size, generator=draw).add_(start)
        noises[expert].normal_(generator=draw)
        times.append(schedule.random_times(rows, draw))
        start += size
    stacked = torch.stack(times)
    return picks, noises, stacked.pin_memory() if pinned else stacked


def drawn_steps(make: Callable[[bool], Draws], steps: int, device: torch.device) -> Iterator[Draws]:
    """What ``make`` draws for each step, on the device.

    A GPU would wait for the drawing of hundreds of experts' noise on one core: there a thread draws the next steps,
    one after another, and what is drawn is copied while the step before runs.

    Args:
        make: draws the next step, into pinned memory if its argument is true.
    """
    if device.type != "cuda":
        for _ in range(steps):
            picks, noises, times = make(False)
            yield picks.to(device), noises.to(device), times.to(device)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="draws") as pool:
        pending: deque[Future[Draws]] = deque(pool.submit(make, True) for _ in range(min(AHEAD, steps)))
        for step in range(steps):
            picks, noises, times = pending.popleft().result()
            if step + AHEAD < steps:
                pending.append(pool.submit(make, True))
            yield tuple(part.to(device, non_blocking=True) for part in (picks, noises, times))  # type: ignore[misc]
