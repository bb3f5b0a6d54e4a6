"""Training K experts at once (Eq. 4): the loop of ``suti.experts.fine_tuning.fine_tune`` for K subjects side by side.

Each expert draws pictures, noise and timesteps from its own generator in the order in which it would draw them alone,
and the loss is the sum over experts of the mean over an expert's rows, so each trains as it would alone, up to the
rounding of larger matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from diffusers.models.resnet import ResnetBlock2D

from suti.compute import autocast, deterministic_backward, precision
from suti.config.schema import Compute
from suti.diffusion.losses import denoising_loss
from suti.experts.batched.adafactor import StackedAdafactor
from suti.experts.batched.adapters import stacked_adapters
from suti.experts.batched.draws import drawn_steps, step_draws
from suti.experts.batched.frozen_norms import fast_frozen_norms
from suti.experts.batched.graphs import RepeatedStep
from suti.experts.batched.parameters import StackedParameters
from suti.experts.batched.weights import stacked_weights
from suti.experts.fine_tuning import FineTuning, TrainingSet
from suti.models.backbone import Backbone
from suti.models.conditions import Conditions
from suti.optim.adafactor import share_at


@contextmanager
def stacked_unet(
    base: Backbone, settings: FineTuning, generators: Sequence[torch.Generator], compute: Compute
) -> Iterator[StackedParameters]:
    """The base's network with one set of trained tensors a generator; as it was on leaving.

    Inside, a batch of rows is expert-major: a multiple of K rows, those of one expert together.
    """
    dtype = torch.bfloat16 if precision(compute, base.device) == "bf16" else torch.float32
    if settings.method == "lora":
        stacked = stacked_adapters(base.network, generators, settings.lora_rank, settings.frozen, dtype)
    else:
        stacked = stacked_weights(base.network, len(generators), settings.frozen, dtype)
    with stacked as parameters, fast_frozen_norms(base.network, dtype):
        yield parameters


def train_experts(
    base: Backbone,
    parameters: StackedParameters,
    subjects: Sequence[TrainingSet],
    generators: Sequence[torch.Generator],
    settings: FineTuning,
    compute: Compute,
    micro_batch: int | None = None,
) -> list[float]:
    """Train K experts in place.

    A diverged expert trains on: its rows and its slices touch no other's, so its neighbours get the bits that they
    would get beside a healthy one, and what came of it is to be thrown away.

    Args:
        base: the base, inside ``stacked_unet``.
        parameters: what ``stacked_unet`` yielded.
        subjects: K subjects' pictures and texts.
        generators: those given to ``stacked_unet``; each has drawn its expert's start and draws on.
        micro_batch: images of an expert in one pass; None takes a step's images in one. Gradients of a step's passes
            are summed, and what is drawn does not depend on it, so the result is the same up to rounding.

    Returns:
        For each expert the mean loss of the last tenth of the steps; not finite if it diverged, in a loss or in a
        weight.
    """
    device, count, rows = base.device, len(subjects), settings.batch_size
    x_start = torch.cat([s.x_start for s in subjects])
    conditions = Conditions.join([s.conditions for s in subjects])
    sizes, shape = [len(s.x_start) for s in subjects], x_start.shape[1:]
    schedule = base.schedule
    optimizer = StackedAdafactor(parameters, settings.learning_rate)

    def step(picks: torch.Tensor, noises: torch.Tensor, times: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        """Move all experts by one step; ``(K,)`` losses."""
        value = torch.zeros(count, device=device)
        for part in zip(*(tensor.split(micro_batch or rows, 1) for tensor in (picks, noises, times)), strict=True):
            pick, noise, timesteps = (tensor.flatten(0, 1) for tensor in part)
            with autocast(compute, device):
                losses = denoising_loss(
                    partial(base.predict, conditions=conditions[pick]), schedule, x_start[pick], noise, timesteps
                ).view(count, -1).sum(1) / rows  # fmt: skip
            with deterministic_backward(device):
                losses.sum().backward()
            value += losses.detach()
        optimizer.step(share)
        return value

    repeated = RepeatedStep(step, device, 0 if compute.compile else settings.steps)
    draws = drawn_steps(
        lambda pinned: step_draws(generators, sizes, rows, shape, schedule, pinned), settings.steps, device
    )
    history = []
    base.network.train()
    _keep_layout(base.network)
    for number, drawn in enumerate(draws, start=1):
        history.append(repeated(*drawn, torch.tensor(share_at(number)).to(device, non_blocking=True)))
    base.network.eval()
    return _summary(torch.stack(history), parameters.finite())


def _keep_layout(network: torch.nn.Module) -> None:
    """Spare residual blocks two copies: in training they put a map into planes, for the sake of several processes."""
    for module in network.modules():
        if isinstance(module, ResnetBlock2D):
            module.training = False  # of the block alone; its dropout has a flag of its own


def _summary(history: torch.Tensor, sound: torch.Tensor) -> list[float]:
    """Mean of the last tenth of ``(steps, K)`` losses; the first loss that is not finite, if there is one."""
    last = history[-max(1, len(history) // 10) :].mean(0)
    means: list[float] = torch.where(sound, last, torch.full_like(last, torch.nan)).tolist()
    for expert, finite in enumerate(history.isfinite().T.tolist()):
        if not all(finite):
            means[expert] = history[finite.index(False), expert].item()
    return means
