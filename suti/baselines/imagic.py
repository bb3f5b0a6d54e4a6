"""Imagic (arXiv 2210.09276): the text embedding and the base are fitted to a picture, then drawn halfway to a prompt.

For one demonstration and one prompt: (A) the prompt's hidden states are optimised, the base frozen, until they describe
the demonstration; (B) the UNet is fine-tuned to draw the demonstration from them; (C) what lies between them and the
prompt's own hidden states is drawn. All three are done anew for every prompt, so of all systems this one costs most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from suti.baselines.method import Method
from suti.compute import autocast
from suti.config.schema import Compute
from suti.diffusion.losses import denoising_loss
from suti.diffusion.settings import Sampling
from suti.experts.fine_tuning import FineTuning, TrainingSet, fine_tune, subject_unet, training_set
from suti.generation.draw import BenchmarkSubject, Drawn, Request, demonstration_of, draw_in_turn, kept_bytes, noise_of
from suti.models.base import BaseModel
from suti.models.conditions import Conditions
from suti.models.drawing import draw
from suti.seeds import Key, torch_generator


@dataclass(frozen=True)
class Imagic:
    """How a demonstration and a prompt are fitted.

    Attributes:
        embedding_steps: Adam steps on the text embedding (section 3.2, A).
        embedding_learning_rate: their rate.
        tuning: fine-tuning of the UNet at the optimised embedding (B).
        eta: share of the prompt's own embedding in what is drawn (C).
    """

    embedding_steps: int
    embedding_learning_rate: float
    tuning: FineTuning
    eta: float

    @property
    def steps(self) -> int:
        """Optimiser steps a picture."""
        return self.embedding_steps + self.tuning.steps


def imagic_settings(
    embedding_steps: int, embedding_learning_rate: float, steps: int, learning_rate: float, batch_size: int, eta: float,
    frozen: Iterable[str],
) -> Imagic:  # fmt: skip
    """Imagic with the settings of the configuration; ``frozen`` are the experts'."""
    tuning = FineTuning("full", steps, batch_size, learning_rate, frozen=tuple(frozen))
    return Imagic(embedding_steps, embedding_learning_rate, tuning, eta)


def optimise_embedding(
    base: BaseModel, x_start: torch.Tensor, text: Conditions, settings: Imagic, compute: Compute,
    key: tuple[Key, ...],
) -> Conditions:  # fmt: skip
    """Hidden states that describe a picture, near those of the prompt (section 3.2, Eq. 2).

    Args:
        x_start: the picture, ``(1, C, h, w)``.
        text: the prompt's conditions, one row; Adam starts from its hidden states ``(1, L, D)``.
        key: of noise and timesteps; a step takes as many as the fine-tuning's.

    Returns:
        ``text`` with other hidden states.
    """
    trained = text.hidden_states.detach().clone().requires_grad_(True)
    optimizer = torch.optim.Adam([trained], lr=settings.embedding_learning_rate)
    rng, rows = torch_generator(*key, "embedding"), settings.tuning.batch_size
    x_start = x_start.expand(rows, -1, -1, -1)
    for _ in range(settings.embedding_steps):
        noise = torch.randn(x_start.shape, generator=rng).to(base.device)
        timesteps = base.schedule.random_times(rows, rng).to(base.device)
        with autocast(compute, base.device):
            loss = denoising_loss(
                lambda x, t: base.predict(x, t, text.replace(hidden_states=trained).expand(rows)),
                base.schedule, x_start, noise, timesteps,
            ).mean()  # fmt: skip
        optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=[trained])
        optimizer.step()
    return text.replace(hidden_states=trained.detach())


def edit(
    base: BaseModel, demonstration: tuple[np.ndarray, str], prompt: str, settings: Imagic, sampling: Sampling,
    compute: Compute, generator: torch.Generator, key: tuple[Key, ...],
) -> tuple[np.ndarray, int]:  # fmt: skip
    """One demonstration edited to one prompt, uint8 ``(H, W, 3)``, and the bytes that would draw it again.

    Args:
        generator: of the picture's noise.
        key: of the training's draws.

    Raises:
        FloatingPointError: the fine-tuning diverged.
    """
    target = base.encode([prompt])
    data = training_set(base, [demonstration[0]], [prompt])
    found = optimise_embedding(base, data.x_start, target, settings, compute, key)
    with subject_unet(base, settings.tuning) as (_, parameters):
        loss = fine_tune(base, parameters, TrainingSet(data.x_start, found), settings.tuning, compute, key)
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"Imagic of {key[-2]}, {prompt!r}: loss {loss}; lower baselines.imagic.learning_rate "
                f"({settings.tuning.learning_rate})"
            )
        with autocast(compute, base.device):
            between = torch.lerp(found.hidden_states, target.hidden_states, settings.eta)
            image = draw(base, found.replace(hidden_states=between), None, [generator], sampling)[0]
        return image, kept_bytes([*parameters, found.hidden_states])


def draw_imagic(
    base: BaseModel, subject: BenchmarkSubject, settings: Imagic, sampling: Sampling, compute: Compute, seed: int
) -> Drawn:
    """Edit a demonstration to every prompt; image i of a prompt edits demonstration i, in turn if there are fewer.

    Our choices: a picture is drawn from the noise that other systems draw it from, by the benchmark's sampling; eta is
    one number, where the paper shows several and leaves the choice to the reader; the UNet is tuned by the project's
    Adafactor, and super-resolution is not tuned. All is done for every picture, so all time counts as drawing and
    ``stored_bytes`` are of all pictures.
    """
    stored = 0

    def one_by_one(requests: Sequence[Request]) -> np.ndarray:
        nonlocal stored
        images = []
        for request, generator in zip(requests, noise_of(seed, subject, requests), strict=True):
            demonstration = demonstration_of(subject, request.image_index)
            key = (seed, "imagic", request.prompt_id, request.image_index, subject.subject_id, "fit")
            image, size = edit(base, demonstration, request.prompt, settings, sampling, compute, generator, key)
            images.append(image)
            stored += size
        return np.stack(images)

    drawn = draw_in_turn(subject, sampling, one_by_one)
    return replace(drawn, stored_bytes=stored)


METHODS = {"imagic": Method(imagic_settings, draw_imagic)}
