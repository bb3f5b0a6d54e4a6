"""DreamBooth (arXiv 2208.12242): fine-tune the base on 'a [V] CLASS', with prior preservation or without."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from suti.baselines.method import Method
from suti.compute import autocast
from suti.config.schema import Compute
from suti.diffusion.settings import Sampling
from suti.experts.fine_tuning import FineTuning, TrainingSet, fine_tune, subject_unet, training_set
from suti.generation.draw import (
    BenchmarkSubject,
    Drawn,
    clocks,
    draw_subject,
    kept_bytes,
    prepared,
)
from suti.models.backbone import Backbone
from suti.models.drawing import draw
from suti.seeds import torch_generator


@dataclass(frozen=True)
class DreamBooth:
    """How DreamBooth is trained.

    Attributes:
        identifier: the rare token [V].
        prior_images: pictures of the class for prior preservation; 0 is none.
        prior_weight: lambda of the prior preservation loss (section 3.2).
    """

    tuning: FineTuning
    identifier: str
    prior_images: int = 0
    prior_weight: float = 1.0

    @property
    def steps(self) -> int:
        """Optimiser steps a subject."""
        return self.tuning.steps


def dreambooth_settings(
    steps: int, learning_rate: float, batch_size: int, identifier: str, prior_images: int, prior_weight: float,
    frozen: Iterable[str], prior_preservation: bool = True,
) -> DreamBooth:  # fmt: skip
    """DreamBooth with the settings of the configuration; ``frozen`` are the experts'.

    Args:
        prior_preservation: False: no pictures of the class, whatever their number.
    """
    tuning = FineTuning("full", steps, batch_size, learning_rate, frozen=tuple(frozen))
    return DreamBooth(tuning, identifier, prior_images if prior_preservation else 0, prior_weight)


def with_identifier(prompt: str, class_name: str, identifier: str) -> str:
    """DreamBooth's prompt: the identifier before the class word; before all else if the class word is not there."""
    pattern = re.compile(rf"\b{re.escape(class_name)}\b", re.IGNORECASE)
    changed, count = pattern.subn(lambda m: f"{identifier} {m.group()}", prompt, count=1)
    return changed if count else f"{identifier} {prompt}"


def class_pictures(
    base: Backbone, class_name: str, count: int, sampling: Sampling, compute: Compute, seed: int
) -> TrainingSet:
    """Pictures of 'a CLASS' drawn by the base, for prior preservation (section 3.2)."""
    text = f"a {class_name}"
    generators = [torch_generator(seed, "prior", class_name, i) for i in range(count)]
    with autocast(compute, base.device):
        images = draw(base, [text] * count, None, generators, sampling)
    return training_set(base, list(images), [text] * count)


def draw_dreambooth(
    base: Backbone, subject: BenchmarkSubject, settings: DreamBooth, sampling: Sampling, compute: Compute, seed: int
) -> Drawn:
    """Fine-tune the base on the subject's pictures and draw.

    Our choices: the UNet alone is trained, the text encoder is not; every picture has the same text; a step takes as
    many class pictures as pictures of the subject.

    Raises:
        FloatingPointError: the training diverged.
    """
    start = clocks()
    name = f"a {settings.identifier} {subject.class_name}"
    data = training_set(base, [p for p, _ in subject.demonstrations], [name] * len(subject.demonstrations))
    prior = None
    if settings.prior_images:
        prior = class_pictures(base, subject.class_name, settings.prior_images, sampling, compute, seed)
    prompts = [with_identifier(p, subject.class_name, settings.identifier) for _, p in subject.prompts]
    key = (seed, "dreambooth", subject.subject_id)
    with subject_unet(base, settings.tuning) as (unet, parameters):
        loss = fine_tune(base, parameters, data, settings.tuning, compute, key, prior, settings.prior_weight)
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"DreamBooth of {subject.subject_id}: loss {loss}; lower baselines.dreambooth.learning_rate "
                f"({settings.tuning.learning_rate})"
            )
        seconds = clocks() - start
        drawn = draw_subject(base, subject, None, prompts, sampling, compute, seed)
        drawn = replace(drawn, stored_bytes=kept_bytes(unet.parameters()))
    return prepared(drawn, "optimisation_seconds", seconds)


METHODS = {name: Method(dreambooth_settings, draw_dreambooth) for name in ("dreambooth", "dreambooth-prior")}
