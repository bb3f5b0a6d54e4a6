"""Drawing a benchmark: which pictures a run draws, and how SuTI draws them; other systems are in ``suti.baselines``.

Every picture's noise is keyed by (seed, subject, prompt, index) and not by the method, so two methods differ in what
they are, not in their luck, and a smaller run draws a subset of a larger one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from suti.compute import autocast
from suti.config.schema import Compute
from suti.diffusion.settings import Sampling
from suti.models.backbone import Backbone, References
from suti.models.drawing import draw
from suti.models.pipeline import SuTIPipeline
from suti.seeds import torch_generator

AT_ONCE = 64  # pictures of a batch, so that 25 prompts x 4 need no more memory than a few


@dataclass(frozen=True)
class BenchmarkSubject:
    """A held-out subject: its demonstrations (picture uint8 (H, W, 3), text) and (prompt_id, prompt) pairs."""

    subject_id: str
    class_name: str
    demonstrations: tuple[tuple[np.ndarray, str], ...]
    prompts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Drawn:
    """A subject's pictures: rows of table 'generations' less the run's name, uint8 images, and seconds.

    Seconds of preparing the subject are of fine-tuning (``optimisation_seconds``; 0 for SuTI) and of encoding its
    demonstrations (``encoding_seconds``; 0 for DreamBooth). The first prompt's pictures are drawn by themselves in
    ``first_seconds``, as for a user who waits for them; ``sampling_seconds`` are all drawing, the first included.
    ``first_cpu_seconds`` is the processor time of preparation and first pictures, which other programs do not lengthen.
    ``stored_bytes`` is what must be kept of a subject to draw it again later, its pictures apart (``kept_bytes``).
    ``alone``: no other subject was drawn beside it. Where one was, ``first_seconds`` and ``first_cpu_seconds`` are 0
    and the other seconds are its share of the group's.
    """

    rows: list[dict[str, Any]]
    images: np.ndarray
    sampling_seconds: float
    first_seconds: float
    first_cpu_seconds: float
    optimisation_seconds: float = 0.0
    encoding_seconds: float = 0.0
    stored_bytes: int = 0
    alone: bool = True


@dataclass(frozen=True)
class Request:
    """One picture to draw."""

    prompt_id: str
    prompt: str
    image_index: int


def draw_in_turn(
    subject: BenchmarkSubject, sampling: Sampling, draw_some: Callable[[Sequence[Request]], np.ndarray],
    at_once: int = AT_ONCE,
) -> Drawn:  # fmt: skip
    """All pictures of a subject: those of the first prompt by themselves, then the rest, both timed.

    Args:
        draw_some: draws some of them, uint8 ``(n, H, W, 3)``; no picture may depend on the others.
        at_once: most pictures of a call after the first.
    """
    each = sampling.images_per_prompt
    requests = requests_of(subject, each)
    start, parts = clocks(), [draw_some(requests[:each])]
    first_wall, first_cpu = map(float, clocks() - start)
    for first, end in pairwise([*range(each, len(requests), at_once), len(requests)]):
        parts.append(draw_some(requests[first:end]))
    rows = rows_of(subject, requests)
    return Drawn(rows, np.concatenate(parts), float((clocks() - start)[0]), first_wall, first_cpu)


def requests_of(subject: BenchmarkSubject, each: int) -> list[Request]:
    """Every picture that is asked of a subject: its prompts in order, ``each`` pictures of each."""
    return [Request(prompt_id, prompt, i) for prompt_id, prompt in subject.prompts for i in range(each)]


def rows_of(subject: BenchmarkSubject, requests: Sequence[Request]) -> list[dict[str, Any]]:
    """Rows of table 'generations' of a subject's pictures, without the run's name."""
    return [
        {"sample_id": f"{subject.subject_id}__{r.prompt_id}__{r.image_index}", "subject_id": subject.subject_id,
         "prompt_id": r.prompt_id, "prompt": r.prompt, "image_index": r.image_index}
        for r in requests
    ]  # fmt: skip


def noise_of(seed: int, subject: BenchmarkSubject, requests: Sequence[Request]) -> list[torch.Generator]:
    """Generators of the pictures' noise, the same for every system."""
    return [
        torch_generator(seed, "generation", subject.subject_id, request.prompt_id, request.image_index)
        for request in requests
    ]


def draw_subject(
    base: Backbone, subject: BenchmarkSubject, references: References | None, prompts: Sequence[str],
    sampling: Sampling, compute: Compute, seed: int, at_once: int = AT_ONCE,
) -> Drawn:  # fmt: skip
    """Draw all pictures of a subject with one model.

    Args:
        prompts: texts that the model gets, one for each prompt of ``subject``: DreamBooth's carry the identifier.
    """
    texts = {pid: text for (pid, _), text in zip(subject.prompts, prompts, strict=True)}

    def draw_requests(requests: Sequence[Request]) -> np.ndarray:
        with autocast(compute, base.device):
            return draw(
                base,
                [texts[request.prompt_id] for request in requests],
                references,
                noise_of(seed, subject, requests),
                sampling,
            )

    return draw_in_turn(subject, sampling, draw_requests, at_once)


def demonstration_of(subject: BenchmarkSubject, image_index: int) -> tuple[np.ndarray, str]:
    """The demonstration, (picture, text), that an editor makes image ``image_index`` of: each in turn.

    Raises:
        ValueError: there is none.
    """
    if not subject.demonstrations:
        raise ValueError(f"subject {subject.subject_id!r}: no demonstrations, expected at least one to edit")
    return subject.demonstrations[image_index % len(subject.demonstrations)]


def clocks() -> np.ndarray:
    """float64 (2,): seconds of the wall clock and of this process on the processor, to take differences of."""
    return np.array([time.perf_counter(), time.process_time()])


def prepared(drawn: Drawn, name: str, seconds: np.ndarray) -> Drawn:
    """``drawn`` with what its preparation took, both ``clocks``, as its field ``name``."""
    wall, cpu = map(float, seconds)
    changes: dict[str, Any] = {name: wall, "first_cpu_seconds": drawn.first_cpu_seconds + cpu}
    return replace(drawn, **changes)


def draw_suti(
    pipeline: SuTIPipeline, subject: BenchmarkSubject, k: int, sampling: Sampling, compute: Compute, seed: int
) -> Drawn:
    """SuTI: encode k demonstrations once, draw every prompt; no optimisation. k = 0, or a plain base: text alone."""
    start = clocks()
    with autocast(compute, pipeline.device):
        encoded = pipeline.encode_subject(subject.demonstrations[:k])
    seconds = clocks() - start
    prompts = [p for _, p in subject.prompts]
    drawn = draw_subject(pipeline.base, subject, encoded, prompts, sampling, compute, seed)
    return prepared(drawn, "encoding_seconds", seconds)


def groups_of(subjects: Sequence[BenchmarkSubject], k: int, each: int, alone: int) -> list[list[BenchmarkSubject]]:
    """The subjects in their order, in groups that ``draw_suti_together`` takes.

    Args:
        k: demonstrations a subject; each: pictures a prompt.
        alone: so many subjects, the first ones, are groups of one: their seconds are those of a user who waits.
    """
    groups: list[list[BenchmarkSubject]] = []
    for number, subject in enumerate(subjects):
        shape = (len(subject.prompts), len(subject.demonstrations[:k]))
        last = groups[-1] if number > alone else []
        fits = (len(last) + 1) * len(subject.prompts) * each <= AT_ONCE
        if last and fits and shape == (len(last[0].prompts), len(last[0].demonstrations[:k])):
            last.append(subject)
        else:
            groups.append([subject])
    return groups


def draw_suti_together(
    pipeline: SuTIPipeline,
    subjects: Sequence[BenchmarkSubject],
    k: int,
    sampling: Sampling,
    compute: Compute,
    seed: int,
) -> list[Drawn]:
    """SuTI for several subjects in the same forward passes, which a small network needs to be busy; ``groups_of``.

    Pictures are those of ``draw_suti`` up to the rounding of larger batches. One subject is drawn by ``draw_suti``.
    """
    if len(subjects) == 1:
        return [draw_suti(pipeline, subjects[0], k, sampling, compute, seed)]
    start, base = clocks(), pipeline.base
    shown = [pair for subject in subjects for pair in subject.demonstrations[:k]]
    with autocast(compute, base.device):
        references = pipeline.encode_subjects(shown, len(subjects))
        encoding = float((clocks() - start)[0]) / len(subjects)
        requests = [requests_of(subject, sampling.images_per_prompt) for subject in subjects]
        images = draw(
            base,
            [request.prompt for asked in requests for request in asked],
            references,
            [g for subject, asked in zip(subjects, requests, strict=True) for g in noise_of(seed, subject, asked)],
            sampling,
            experts=len(subjects) if references else 1,
        )
    seconds = float((clocks() - start)[0]) / len(subjects) - encoding
    return [
        Drawn(rows_of(subject, asked), own, seconds, 0.0, 0.0, encoding_seconds=encoding, alone=False)
        for subject, asked, own in zip(subjects, requests, np.split(images, len(subjects)), strict=True)
    ]


def kept_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of tensors as ``save_base`` and our safetensors files hold them: two a number (float16)."""
    return 2 * sum(tensor.numel() for tensor in tensors)
