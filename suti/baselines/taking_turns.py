"""Drawing a subject's prompts with any function: those of the first prompt by themselves, then the rest, both timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from suti.generation.draw import BenchmarkSubject, Drawn, Sampling, clocks


@dataclass(frozen=True)
class Request:
    """One picture to draw."""

    prompt_id: str
    prompt: str
    image_index: int


def demonstration_of(subject: BenchmarkSubject, image_index: int) -> tuple[np.ndarray, str]:
    """The demonstration, (picture, text), that an editor makes image ``image_index`` of: each in turn.

    Raises:
        ValueError: there is none.
    """
    if not subject.demonstrations:
        raise ValueError(f"subject {subject.subject_id!r}: no demonstrations, expected at least one to edit")
    return subject.demonstrations[image_index % len(subject.demonstrations)]


def draw_in_turn(
    subject: BenchmarkSubject, sampling: Sampling, draw: Callable[[Sequence[Request]], np.ndarray], at_once: int = 16
) -> Drawn:
    """All pictures of a subject.

    Args:
        draw: draws some of them, uint8 ``(n, H, W, 3)``; no picture may depend on the others.
        at_once: most pictures of a call after the first.
    """
    each = sampling.images_per_prompt
    requests = [Request(pid, prompt, i) for pid, prompt in subject.prompts for i in range(each)]
    start, parts, first_seconds = clocks(), [], None
    for first, end in pairwise([0, *range(each, len(requests), at_once), len(requests)]):
        parts.append(draw(requests[first:end]))
        first_seconds = clocks() - start if first_seconds is None else first_seconds
    rows = [
        {"sample_id": f"{subject.subject_id}__{r.prompt_id}__{r.image_index}", "subject_id": subject.subject_id,
         "prompt_id": r.prompt_id, "prompt": r.prompt, "image_index": r.image_index}
        for r in requests
    ]  # fmt: skip
    return Drawn(rows, np.concatenate(parts), float((clocks() - start)[0]), *map(float, first_seconds))
