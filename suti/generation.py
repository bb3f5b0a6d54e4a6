"""Drawing a benchmark: which pictures a run draws, and the methods that draw them.

Every picture's noise is keyed by (seed, subject, prompt, index) and not by the method, so two methods differ in what
they are, not in their luck, and a smaller run draws a subset of a larger one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from suti.compute import autocast
from suti.config.schema import Compute
from suti.diffusion.losses import denoising_loss
from suti.fine_tuning import FineTuning, TrainingSet, fine_tune, fixed_rate_adafactor, subject_unet
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.base import BaseModel
from suti.models.demonstration_attention import Demonstrations
from suti.models.pipeline import SuTIPipeline, draw, to_tensor
from suti.seeds import Key, torch_generator

AT_ONCE = 64  # pictures of a batch, so that 25 prompts x 4 need no more memory than a few


@dataclass(frozen=True)
class Sampling:
    """How pictures are drawn."""

    num_inference_steps: int
    guidance_scale: float
    dynamic_thresholding: bool
    images_per_prompt: int
    demonstration_guidance_scale: float | None = None


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
    """

    rows: list[dict[str, Any]]
    images: np.ndarray
    sampling_seconds: float
    first_seconds: float
    first_cpu_seconds: float
    optimisation_seconds: float = 0.0
    encoding_seconds: float = 0.0


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


def with_identifier(prompt: str, class_name: str, identifier: str) -> str:
    """DreamBooth's prompt: the identifier before the class word; before all else if the class word is not there."""
    pattern = re.compile(rf"\b{re.escape(class_name)}\b", re.IGNORECASE)
    changed, count = pattern.subn(lambda m: f"{identifier} {m.group()}", prompt, count=1)
    return changed if count else f"{identifier} {prompt}"


def training_set(base: BaseModel, pictures: Sequence[np.ndarray], texts: Sequence[str]) -> TrainingSet:
    """Pictures and texts as the UNet sees them."""
    x_start = base.codec.encode(torch.stack([to_tensor(p, base.image_size) for p in pictures]).to(base.device))
    return TrainingSet(x_start, base.encode_text(list(texts)))


def class_pictures(
    base: BaseModel, class_name: str, count: int, sampling: Sampling, compute: Compute, seed: int
) -> TrainingSet:
    """Pictures of 'a CLASS' drawn by the base, for prior preservation (DreamBooth, section 3.2)."""
    text = f"a {class_name}"
    generators = [torch_generator(seed, "prior", class_name, i) for i in range(count)]
    with autocast(compute, base.device):
        images = draw(
            base, [text] * count, Demonstrations(), generators,
            sampling.num_inference_steps, sampling.guidance_scale, sampling.dynamic_thresholding,
        )  # fmt: skip
    return training_set(base, list(images), [text] * count)


def draw_dreambooth(
    base: BaseModel, subject: BenchmarkSubject, tuning: FineTuning, identifier: str, prior_images: int,
    sampling: Sampling, compute: Compute, seed: int,
) -> Drawn:  # fmt: skip
    """DreamBooth (arXiv 2208.12242): fine-tune the base on 'a [V] CLASS', with prior preservation if asked, and draw.

    Args:
        prior_images: pictures of the class for prior preservation; 0 is none.
    """
    start = clocks()
    name = f"a {identifier} {subject.class_name}"
    data = training_set(base, [p for p, _ in subject.demonstrations], [name] * len(subject.demonstrations))
    prior = class_pictures(base, subject.class_name, prior_images, sampling, compute, seed) if prior_images else None
    prompts = [with_identifier(p, subject.class_name, identifier) for _, p in subject.prompts]
    with subject_unet(base, tuning) as (_, parameters):
        loss = fine_tune(base, parameters, data, tuning, compute, (seed, "dreambooth", subject.subject_id), prior)
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"DreamBooth of {subject.subject_id}: loss {loss}; lower baselines.dreambooth_learning_rate "
                f"({tuning.learning_rate})"
            )
        seconds = clocks() - start
        drawn = draw_subject(base, subject, Demonstrations(), prompts, sampling, compute, seed)
    return prepared(drawn, "optimisation_seconds", seconds)


def draw_dream_suti(
    pipeline: SuTIPipeline,
    subject: BenchmarkSubject,
    tuning: FineTuning,
    sampling: Sampling,
    compute: Compute,
    seed: int,
) -> Drawn:
    """Dream-SuTI (section 5.3): fine-tune the apprentice on one subject, then draw with one demonstration.

    Each row of a step takes one random picture as the condition and another as the target.
    """
    start = clocks()
    base = pipeline.base
    data = training_set(base, [p for p, _ in subject.demonstrations], [t for _, t in subject.demonstrations])
    with subject_unet(base, tuning) as (unet, parameters):
        _tune_apprentice(unet, base, data, parameters, tuning, compute, (seed, "dream-suti", subject.subject_id))
        seconds = clocks() - start
        drawn = draw_suti(pipeline, subject, 1, sampling, compute, seed)
    return prepared(drawn, "optimisation_seconds", seconds)


def _tune_apprentice(
    unet: ApprenticeUNet, base: BaseModel, data: TrainingSet, parameters: list[torch.nn.Parameter], tuning: FineTuning,
    compute: Compute, key: tuple[Key, ...],
) -> None:  # fmt: skip
    optimizer = fixed_rate_adafactor(parameters, tuning.learning_rate)
    rng = torch_generator(*key)
    count, rows = len(data.x_start), tuning.batch_size
    if count < 2:
        raise ValueError(f"Dream-SuTI: subject {key[-1]!r} has {count} demonstration, expected at least 2")
    unet.train()
    for _ in range(tuning.steps):
        pairs = torch.stack([torch.randperm(count, generator=rng)[:2] for _ in range(rows)])
        shown, wanted = pairs[:, 0], pairs[:, 1]
        noise = torch.randn(data.x_start[wanted].shape, generator=rng).to(base.device)
        total = base.scheduler.config.num_train_timesteps
        timesteps = torch.randint(total, (rows,), generator=rng).to(base.device)
        with autocast(compute, base.device):
            encoded = unet.encode_demonstrations(data.x_start[shown], data.text[shown], 1)
            condition = {"demonstrations": encoded}
            loss = denoising_loss(
                lambda x, t, c=condition, w=wanted: unet(
                    x, t, data.text[w], cross_attention_kwargs=c, return_dict=False
                )[0],
                base.scheduler, data.x_start[wanted], noise, timesteps,
            ).mean()  # fmt: skip
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"Dream-SuTI of {key[-1]}: loss {loss.item()}; "
                f"lower baselines.dream_suti_learning_rate ({tuning.learning_rate})"
            )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    unet.eval()
