"""Drawing a benchmark: which pictures a run draws, and how SuTI draws them; other systems are in ``suti.baselines``.

Every picture's noise is keyed by (seed, subject, prompt, index) and not by the method, so two methods differ in what
they are, not in their luck, and a smaller run draws a subset of a larger one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from suti.compute import autocast
from suti.config.schema import Compute
from suti.experts.fine_tuning import TrainingSet
from suti.models.base import BaseModel
from suti.models.demonstration_attention import Demonstrations
from suti.models.pipeline import SuTIPipeline, draw, to_tensor
from suti.seeds import torch_generator

AT_ONCE = 64  # pictures of a batch, so that 25 prompts x 4 need no more memory than a few


@dataclass(frozen=True)
class Sampling:
    """How pictures are drawn."""

    num_inference_steps: int
    guidance_scale: float
    dynamic_thresholding: bool
    images_per_prompt: int
    demonstration_guidance_scale: float | None = None
    guidance_stop: float = 1.0


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
    """

    rows: list[dict[str, Any]]
    images: np.ndarray
    sampling_seconds: float
    first_seconds: float
    first_cpu_seconds: float
    optimisation_seconds: float = 0.0
    encoding_seconds: float = 0.0
    stored_bytes: int = 0


def draw_subject(
    base: BaseModel, subject: BenchmarkSubject, demonstrations: Demonstrations, prompts: Sequence[str],
    sampling: Sampling, compute: Compute, seed: int,
) -> Drawn:  # fmt: skip
    """Draw all pictures of a subject with one model: those of the first prompt, then the rest ``AT_ONCE`` a batch.

    Args:
        prompts: what the model is asked for, one a prompt of ``subject``: DreamBooth's carry the identifier.
    """
    asked = [
        (pid, prompt, text, i)
        for (pid, prompt), text in zip(subject.prompts, prompts, strict=True)
        for i in range(sampling.images_per_prompt)
    ]
    generators = [torch_generator(seed, "generation", subject.subject_id, pid, i) for pid, _, _, i in asked]
    start, parts, first_seconds = clocks(), [], None
    ends = [*range(sampling.images_per_prompt, len(asked), AT_ONCE), len(asked)]
    for first, end in pairwise([0, *ends]):
        with autocast(compute, base.device):
            images = draw(
                base, [text for _, _, text, _ in asked[first:end]], demonstrations, generators[first:end],
                sampling.num_inference_steps, sampling.guidance_scale, sampling.dynamic_thresholding,
                demonstration_guidance_scale=sampling.demonstration_guidance_scale,
                guidance_stop=sampling.guidance_stop,
            )  # fmt: skip
        parts.append(images)
        first_seconds = clocks() - start if first_seconds is None else first_seconds
    rows = [
        {"sample_id": f"{subject.subject_id}__{pid}__{i}", "subject_id": subject.subject_id, "prompt_id": pid,
         "prompt": prompt, "image_index": i}
        for pid, prompt, _, i in asked
    ]  # fmt: skip
    return Drawn(rows, np.concatenate(parts), float((clocks() - start)[0]), *map(float, first_seconds))


def clocks() -> np.ndarray:
    """float64 (2,): seconds of the wall clock and of this process on the processor, to take differences of."""
    return np.array([time.perf_counter(), time.process_time()])


def prepared(drawn: Drawn, name: str, seconds: np.ndarray) -> Drawn:
    """``drawn`` with what its preparation took, both ``clocks``, as its field ``name``."""
    wall, cpu = map(float, seconds)
    return replace(drawn, **{name: wall}, first_cpu_seconds=drawn.first_cpu_seconds + cpu)


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


def kept_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of tensors as ``save_base`` and our safetensors files hold them: two a number (float16)."""
    return 2 * sum(tensor.numel() for tensor in tensors)


def training_set(base: BaseModel, pictures: Sequence[np.ndarray], texts: Sequence[str]) -> TrainingSet:
    """Pictures and texts as the UNet sees them."""
    x_start = base.codec.encode(torch.stack([to_tensor(p, base.image_size) for p in pictures]).to(base.device))
    return TrainingSet(x_start, base.encode_text(list(texts)))
