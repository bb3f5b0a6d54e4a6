"""Fine-tuning a base on one subject's pictures: the loop of an expert (Eq. 4) and of DreamBooth.

Full fine-tuning of the network, or LoRA on its linear and convolution layers. Texts and, for latent bases, latents are
computed once a subject. The text encoder stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from diffusers import ModelMixin
from peft import LoraConfig
from transformers import Adafactor

from suti.compute import autocast, deterministic_backward
from suti.config.schema import Compute
from suti.diffusion.losses import denoising_loss
from suti.models.backbone import Backbone
from suti.models.codec import to_tensor
from suti.models.conditions import Conditions
from suti.seeds import Key, torch_generator

ADAPTER = "subject"


@dataclass(frozen=True)
class FineTuning:
    """How a subject's model is trained.

    Attributes:
        learning_rate: Adafactor's fixed rate.
        frozen: names of modules (and all below them) that stay as they are.
    """

    method: Literal["full", "lora"]
    steps: int
    batch_size: int
    learning_rate: float
    lora_rank: int = 8
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingSet:
    """Pictures and texts of a subject: ``x_start`` ``(n, C, h, w)`` clean inputs, ``conditions`` of n rows."""

    x_start: torch.Tensor
    conditions: Conditions


def training_set(base: Backbone, pictures: Sequence[np.ndarray], texts: Sequence[str]) -> TrainingSet:
    """Pictures, uint8 ``(H, W, 3)``, and texts as the network takes them, computed once."""
    x_start = base.codec.encode(torch.stack([to_tensor(p, base.image_size) for p in pictures]).to(base.device))
    return TrainingSet(x_start, base.encode(list(texts)))


def fixed_rate_adafactor(parameters: list[torch.nn.Parameter], learning_rate: float) -> Adafactor:
    """Adafactor with a fixed rate, as the paper uses it: no relative steps, no scaling by the parameters' size."""
    return Adafactor(parameters, lr=learning_rate, scale_parameter=False, relative_step=False, warmup_init=False)


@contextmanager
def subject_unet(base: Backbone, settings: FineTuning) -> Iterator[tuple[ModelMixin, list[torch.nn.Parameter]]]:
    """The base's network made trainable for one subject, and its trainable parameters; restored on leaving.

    Full: all weights, put back from a copy afterwards. LoRA: an adapter (peft), removed afterwards.
    """
    unet = base.network
    if settings.method == "lora":
        targets = list(trained_layers(unet, settings.frozen))
        unet.add_adapter(
            LoraConfig(r=settings.lora_rank, lora_alpha=settings.lora_rank, target_modules=targets), ADAPTER
        )
        try:
            yield unet, [p for n, p in unet.named_parameters() if f".{ADAPTER}." in n]
        finally:
            unet.unload_lora()
            unet.requires_grad_(False)
        return
    trained = {n: p for n, p in unet.named_parameters() if not below(n, settings.frozen)}
    before = {n: p.detach().clone() for n, p in trained.items()}
    for parameter in trained.values():
        parameter.requires_grad_(True)
    try:
        yield unet, list(trained.values())
    finally:
        unet.requires_grad_(False)
        unet.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(before[name])


def trained_layers(unet: torch.nn.Module, frozen: tuple[str, ...]) -> dict[str, torch.nn.Linear | torch.nn.Conv2d]:
    """Linear and convolution layers that LoRA adapts: all that are not below ``frozen``."""
    return {
        n: m
        for n, m in unet.named_modules()
        if isinstance(m, torch.nn.Linear | torch.nn.Conv2d) and not below(n, frozen)
    }


def below(name: str, modules: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of ``modules`` or lies below one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def fine_tune(
    base: Backbone,
    parameters: list[torch.nn.Parameter],
    subject: TrainingSet,
    settings: FineTuning,
    compute: Compute,
    key: tuple[Key, ...],
    prior: TrainingSet | None = None,
    prior_weight: float = 1.0,
) -> float:
    """Train the base's network on one subject, in place (Eq. 4).

    Args:
        base: the base, its network inside ``subject_unet``.
        parameters: what to train.
        subject: the subject's pictures and texts.
        key: (seed, stage, subject): all draws come from it, so no result depends on neighbours, shards or order.
        prior: DreamBooth's class pictures; each step adds as many of them (prior preservation).
        prior_weight: of their loss.

    Returns:
        Mean loss of the last tenth of the steps; infinite or NaN if the training diverged, which stops it.
    """
    optimizer = fixed_rate_adafactor(parameters, settings.learning_rate)
    draw = torch_generator(*key)
    # One adapter's start must not depend on how many were made before it.
    if settings.method == "lora":
        _start_adapter(base.network, draw)
    device = base.device
    last: list[float] = []
    base.network.train()
    for step in range(settings.steps):
        loss = torch.zeros((), device=device)
        for data, weight in ((subject, 1.0), (prior, prior_weight)) if prior is not None else ((subject, 1.0),):
            pick = torch.randint(len(data.x_start), (settings.batch_size,), generator=draw)
            x_start, conditions = data.x_start[pick], data.conditions[pick]
            noise = torch.randn(x_start.shape, generator=draw).to(device)
            timesteps = base.schedule.random_times(settings.batch_size, draw).to(device)
            with autocast(compute, device):
                loss = loss + weight * denoising_loss(
                    partial(base.predict, conditions=conditions), base.schedule, x_start, noise, timesteps
                ).mean()  # fmt: skip
        with deterministic_backward(device):
            loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step >= settings.steps - max(1, settings.steps // 10):
            last.append(loss.item())
        if not math.isfinite(loss.item()):
            return loss.item()
    base.network.eval()
    return sum(last) / len(last)


def _start_adapter(unet: ModelMixin, draw: torch.Generator) -> None:
    """Kaiming-uniform start of the adapter's A factors (B starts at 0), from the subject's own generator."""
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if f".lora_A.{ADAPTER}." in name:
                bound = 1 / math.sqrt(parameter[0].numel())
                parameter.copy_((torch.rand(parameter.shape, generator=draw) * 2 - 1) * bound)
