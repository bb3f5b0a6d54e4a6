"""Dream-SuTI (arXiv 2304.00186, section 5.3): the apprentice, fine-tuned on one subject."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import torch

from suti.baselines.method import Method
from suti.compute import autocast
from suti.config.schema import Compute
from suti.diffusion.losses import denoising_loss
from suti.diffusion.settings import Sampling
from suti.experts.fine_tuning import FineTuning, TrainingSet, fixed_rate_adafactor, subject_unet, training_set
from suti.generation.draw import (
    BenchmarkSubject,
    Drawn,
    clocks,
    draw_suti,
    kept_bytes,
    prepared,
)
from suti.models.base import BaseModel
from suti.models.pipeline import SuTIPipeline, load_apprentice
from suti.seeds import Key, torch_generator

BATCH_SIZE = 4  # pairs of pictures a step


@dataclass(frozen=True)
class DreamSuTI:
    """How the apprentice is fine-tuned."""

    tuning: FineTuning

    @property
    def steps(self) -> int:
        """Optimiser steps a subject."""
        return self.tuning.steps


def dream_suti_settings(steps: int, learning_rate: float, frozen: Iterable[str]) -> DreamSuTI:
    """Dream-SuTI with the settings of the configuration; ``frozen`` are the experts'."""
    return DreamSuTI(FineTuning("full", steps, BATCH_SIZE, learning_rate, frozen=tuple(frozen)))


def draw_dream_suti(
    base: BaseModel, subject: BenchmarkSubject, settings: DreamSuTI, sampling: Sampling, compute: Compute, seed: int
) -> Drawn:
    """Fine-tune the apprentice on one subject, then draw with one demonstration.

    Each row of a step takes one random picture as the condition and another as the target.

    Args:
        base: its ``unet`` is an apprentice.
    """
    start = clocks()
    data = training_set(base, [p for p, _ in subject.demonstrations], [t for _, t in subject.demonstrations])
    key = (seed, "dream-suti", subject.subject_id)
    with subject_unet(base, settings.tuning) as (unet, parameters):
        _tune_apprentice(base, data, parameters, settings.tuning, compute, key)
        seconds = clocks() - start
        drawn = draw_suti(SuTIPipeline.of(base), subject, 1, sampling, compute, seed)
        drawn = replace(drawn, stored_bytes=kept_bytes(unet.parameters()))
    return prepared(drawn, "optimisation_seconds", seconds)


def _tune_apprentice(
    base: BaseModel, data: TrainingSet, parameters: list[torch.nn.Parameter], tuning: FineTuning, compute: Compute,
    key: tuple[Key, ...],
) -> None:  # fmt: skip
    optimizer = fixed_rate_adafactor(parameters, tuning.learning_rate)
    rng = torch_generator(*key)
    count, rows = len(data.x_start), tuning.batch_size
    if count < 2:
        raise ValueError(f"Dream-SuTI: subject {key[-1]!r} has {count} demonstration, expected at least 2")
    base.network.train()
    for _ in range(tuning.steps):
        pairs = torch.stack([torch.randperm(count, generator=rng)[:2] for _ in range(rows)])
        condition, target = pairs[:, 0], pairs[:, 1]
        noise = torch.randn(data.x_start[target].shape, generator=rng).to(base.device)
        timesteps = base.schedule.random_times(rows, rng).to(base.device)
        with autocast(compute, base.device):
            encoded = base.encode_references(data.x_start[condition], data.conditions[condition], 1)
            loss = denoising_loss(
                partial(base.predict, conditions=data.conditions[target], references=encoded),
                base.schedule, data.x_start[target], noise, timesteps,
            ).mean()  # fmt: skip
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"Dream-SuTI of {key[-1]}: loss {loss.item()}; "
                f"lower baselines.dream_suti.learning_rate ({tuning.learning_rate})"
            )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    base.network.eval()


METHODS = {"dream-suti": Method(dream_suti_settings, draw_dream_suti, load_apprentice)}
