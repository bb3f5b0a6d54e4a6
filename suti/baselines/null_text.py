"""Null-Text Inversion (arXiv 2211.09794) with Prompt-to-Prompt editing: a demonstration, edited to the prompt.

A demonstration is inverted under its caption by DDIM without guidance, which gives a trajectory of latents, the pivot.
Then, step by step, the null embedding (the hidden states of the empty text) is tuned so that sampling with guidance
follows the pivot. The tuned embeddings serve every prompt: the demonstration is drawn again from its noise, and beside
it, with its attention maps, the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from suti.baselines.method import Method
from suti.compute import autocast
from suti.config.schema import Compute
from suti.diffusion.ddim import ddim_inverse_step, ddim_step, ddim_timesteps
from suti.diffusion.sampling import guide
from suti.diffusion.settings import Sampling
from suti.experts.fine_tuning import training_set
from suti.generation.draw import (
    BenchmarkSubject,
    Drawn,
    Request,
    clocks,
    demonstration_of,
    draw_in_turn,
    kept_bytes,
    prepared,
)
from suti.models.attention_control import AttentionControl, controlled_attention
from suti.models.base import BaseModel
from suti.models.conditions import Conditions
from suti.models.drawing import to_images
from suti.models.word_alignment import align

AT_ONCE = 16  # pictures of a batch: each is drawn beside its demonstration, twice


@dataclass(frozen=True)
class NullText:
    """How demonstrations are inverted and edited.

    Attributes:
        num_inference_steps: DDIM steps, of the inversion and of the edit.
        inner_steps: most optimiser steps on one null embedding.
        learning_rate: Adam's at the noisiest step; it falls linearly to half at the last, as in the authors' code.
        early_stop: mean squared error to the pivot at which a step's tuning ends, at the noisiest step; the paper's
            threshold grows by twice its value a step, so late steps, whose error counts less, end sooner.
        guidance_scale: of tuning and edit.
        cross_share, self_share: shares of the steps at which attention maps are replaced (Prompt-to-Prompt).
    """

    num_inference_steps: int
    inner_steps: int
    learning_rate: float
    early_stop: float
    guidance_scale: float
    cross_share: float
    self_share: float

    @property
    def steps(self) -> int:
        """Most optimiser steps a demonstration."""
        return self.num_inference_steps * self.inner_steps


@dataclass(frozen=True)
class Inverted:
    """Demonstrations after inversion: what is kept of them.

    Attributes:
        noise: ``(n, C, h, w)``, the trajectory's last latents, x_T.
        nulls: ``(steps, n, L, D)``, the null embedding of every step, from the noisiest.
        text: the captions' conditions, n rows; they follow from the captions and are not kept.
        captions: n texts.
    """

    noise: torch.Tensor
    nulls: torch.Tensor
    text: Conditions
    captions: tuple[str, ...]


@torch.no_grad()
def ddim_invert(
    base: BaseModel, x_start: torch.Tensor, text: Conditions, num_inference_steps: int, compute: Compute
) -> list[torch.Tensor]:
    """Trajectory from noise to ``x_start`` by DDIM inversion without guidance: x at each of ``ddim_timesteps``.

    Args:
        x_start: ``(n, C, h, w)``.
        text: conditions of n captions.
    """
    timesteps = ddim_timesteps(base.scheduler, num_inference_steps)
    trajectory = [x_start.float()]
    for there, here in zip(timesteps[-2::-1], timesteps[:0:-1], strict=True):
        prediction = _predict(base, trajectory[-1], there, text, compute)
        trajectory.append(ddim_inverse_step(base.scheduler, prediction, trajectory[-1], here, there))
    return trajectory[::-1]


def tune_null_text(
    base: BaseModel, trajectory: Sequence[torch.Tensor], text: Conditions, settings: NullText, compute: Compute
) -> torch.Tensor:
    """Null embeddings ``(steps, n, L, D)`` under which guided DDIM follows a trajectory (section 3.2, Eq. 3).

    Every step starts from the embedding of the step before it and from the x that the tuned steps before it led to.
    Rows are tuned side by side and do not see each other: a row's loss, gradient and early stop are its own.
    """
    steps = settings.num_inference_steps
    timesteps = ddim_timesteps(base.scheduler, steps)
    empty = base.encode([""]).expand(len(text))
    null = empty.hidden_states.clone()
    x, nulls = trajectory[0], []
    for number, (timestep, to) in enumerate(pairwise(timesteps)):
        pivot = trajectory[number + 1]
        with torch.no_grad():
            conditional = _predict(base, x, timestep, text, compute).float()
        trained = null.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([trained], lr=settings.learning_rate * (1 - number / (2 * steps)))
        done = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        best = torch.full((len(x),), torch.inf, device=x.device)
        following = x
        for tried in range(settings.inner_steps + 1):
            with torch.set_grad_enabled(tried < settings.inner_steps):
                unconditional = _predict(base, x, timestep, empty.replace(hidden_states=trained), compute).float()
                guided = guide(conditional, unconditional, settings.guidance_scale)
                reached = ddim_step(base.scheduler, guided, x, timestep, to, clip=base.codec.bounded)
                losses = (reached - pivot).square().flatten(1).mean(1)
            # A row keeps the best embedding that it had, and takes no further part once that is near enough.
            better = (losses.detach() < best) & ~done
            null = torch.where(better[:, None, None], trained.detach(), null)
            best = torch.where(better, losses.detach(), best)
            following = torch.where(better[:, None, None, None], reached.detach(), following)
            done |= best < settings.early_stop * (1 + 2 * number)
            if done.all() or tried == settings.inner_steps:
                break
            optimizer.zero_grad(set_to_none=True)
            losses.sum().backward(inputs=[trained])
            optimizer.step()
        x = following
        nulls.append(null)
    return torch.stack(nulls)


def invert(
    base: BaseModel, demonstrations: Sequence[tuple[np.ndarray, str]], settings: NullText, compute: Compute
) -> Inverted:
    """Invert demonstrations under their captions and tune their null embeddings."""
    captions = tuple(text for _, text in demonstrations)
    data = training_set(base, [picture for picture, _ in demonstrations], captions)
    trajectory = ddim_invert(base, data.x_start, data.conditions, settings.num_inference_steps, compute)
    nulls = tune_null_text(base, trajectory, data.conditions, settings, compute)
    return Inverted(trajectory[0], nulls, data.conditions, captions)


@torch.no_grad()
def edit(
    base: BaseModel, inverted: Inverted, chosen: Sequence[int], prompts: Sequence[str], settings: NullText,
    compute: Compute,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Draw prompts as edits of inverted demonstrations (section 3.3).

    Args:
        chosen: of each prompt, the place of the demonstration that it edits.

    Returns:
        The demonstrations drawn again, ``(n, C, h, w)``, and the edits, ``(len(prompts), C, h, w)``.
    """
    n = len(inverted.captions)
    places = [*range(n), *chosen]  # of every row: the demonstration that it is, or edits
    text = Conditions.join([inverted.text, base.encode(list(prompts))])
    alignments = [align(base.tokenizer, inverted.captions[c], p) for c, p in zip(chosen, prompts, strict=True)]
    first = len(places)  # of the conditional rows
    control = AttentionControl(
        range(first + n, 2 * first), [first + c for c in chosen], alignments, settings.cross_share,
        settings.self_share, base.device,
    )  # fmt: skip
    timesteps = ddim_timesteps(base.scheduler, settings.num_inference_steps)
    x = inverted.noise[places]
    with controlled_attention(base.unet, control):
        for number, (timestep, to) in enumerate(pairwise(timesteps)):
            control.at(number, settings.num_inference_steps)
            null = text.replace(hidden_states=inverted.nulls[number][places])
            texts = Conditions.join([null, text])
            unconditional, conditional = _predict(base, torch.cat([x, x]), timestep, texts, compute).float().chunk(2)
            guided = guide(conditional, unconditional, settings.guidance_scale)
            x = ddim_step(base.scheduler, guided, x, timestep, to, clip=base.codec.bounded)
    return x[:n], x[n:]


def draw_null_text(
    base: BaseModel, subject: BenchmarkSubject, settings: NullText, sampling: Sampling, compute: Compute, seed: int
) -> Drawn:
    """Invert the demonstrations once, then edit them to every prompt; image i edits demonstration i.

    Our choices: with fewer demonstrations than images they are taken in turn; guidance and steps are the method's own
    settings, not the benchmark's, as a tuned embedding belongs to them; ``seed`` is not used, for nothing is random.
    ``stored_bytes`` are the noise x_T and the null embeddings; the rest of the trajectory is not needed again.
    """
    del seed
    start = clocks()
    count = max(1, min(sampling.images_per_prompt, len(subject.demonstrations)))
    inverted = invert(base, [demonstration_of(subject, i) for i in range(count)], settings, compute)
    seconds = clocks() - start

    def draw_requests(requests: Sequence[Request]) -> np.ndarray:
        chosen = [request.image_index % count for request in requests]
        used = sorted(set(chosen))
        part = replace(
            inverted, noise=inverted.noise[used], nulls=inverted.nulls[:, used], text=inverted.text[used],
            captions=tuple(inverted.captions[u] for u in used),
        )  # fmt: skip
        _, edits = edit(
            base, part, [used.index(c) for c in chosen], [request.prompt for request in requests], settings, compute
        )
        return to_images(base, edits)

    drawn = draw_in_turn(subject, sampling, draw_requests, AT_ONCE)
    drawn = replace(drawn, stored_bytes=kept_bytes([inverted.noise, inverted.nulls]))
    return prepared(drawn, "optimisation_seconds", seconds)


def _predict(base: BaseModel, x: torch.Tensor, timestep: int, text: Conditions, compute: Compute) -> torch.Tensor:
    timesteps = torch.full((len(x),), timestep, device=x.device)
    with autocast(compute, base.device):
        return base.predict(x.to(base.dtype), timesteps, text.to(base.dtype))


METHODS = {"null-text": Method(NullText, draw_null_text)}
