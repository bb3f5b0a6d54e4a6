"""The apprentice's step of training (Eq. 5): loss, optimiser, averaged weights, over one or several processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator
from diffusers import UNet2DConditionModel
from diffusers.training_utils import EMAModel

from suti.apprentice.data import Batch
from suti.compute import autocast, deterministic_backward
from suti.config.schema import Apprentice, Compute
from suti.diffusion.losses import denoising_loss
from suti.io.state import read_state, write_state
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.backbone import Backbone
from suti.models.conditions import Conditions
from suti.optim.adafactor import BankedAdafactor
from suti.seeds import torch_generator

TEXT_BYTES = 2**28  # of texts' conditions kept at a time
LATENT_BYTES = 2**28  # of pictures' latents kept; a training with more encodes each picture as often as it is drawn


def apprentice_loss(
    apprentice: Backbone, batch: Batch, x_start: torch.Tensor, shown: torch.Tensor, text: Conditions,
    texts: Conditions, noise: torch.Tensor, timesteps: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """Eq. 5: denoise the expert's sample y_s given its prompt p_s and the demonstrations C_s. A scalar.

    Args:
        apprentice: the base around the apprentice's network.
        x_start: ``(S T, C, h, w)``, clean inputs of the targets; shown: ``(S k, C, h, w)``, of the demonstrations.
        text: conditions of the targets' prompts, S T rows; texts: of the demonstrations', S k rows.
        noise: as the targets' clean inputs; timesteps: ``(S T,)``.
    """
    references = apprentice.encode_references(shown, texts, batch.k).with_present(batch.present.to(apprentice.device))
    return denoising_loss(
        lambda x, t: apprentice.predict(x, t, text, references), apprentice.schedule, x_start, noise, timesteps
    ).mean()


class ApprenticeLoss(torch.nn.Module):
    """``apprentice_loss`` as a module: what several processes synchronise, so all of it goes through one forward."""

    def __init__(self, apprentice: Backbone) -> None:
        super().__init__()
        self.network, self._apprentice = apprentice.network, apprentice

    def forward(
        self, batch: Batch, x_start: torch.Tensor, shown: torch.Tensor, text: Conditions, texts: Conditions,
        noise: torch.Tensor, timesteps: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """The loss of a part of a step, a scalar."""
        return apprentice_loss(self._apprentice, batch, x_start, shown, text, texts, noise, timesteps)


@dataclass
class Trainer:
    """The apprentice in training: weights, averaged weights, optimiser, step; saved whole in a checkpoint.

    Attributes:
        apprentice: the base around ``unet``.
        accelerator: the processes that train together; by default those that the environment names, so one.
        losses: rows {step, loss}; validation: rows {step, right, wrong, none} (``suti.apprentice.validation``).
        text_bytes: hidden states of texts kept at a time, bytes.
        keep_latents: whether pictures are encoded once and kept (``latents_fit``).
        waited: share of the steps' time, in this process's life, that was spent waiting for data.
    """

    unet: ApprenticeUNet
    base: Backbone
    settings: Apprentice
    compute: Compute
    seed: int
    step: int = 0
    losses: list[dict[str, float]] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)
    waited: float = 0.0
    accelerator: Accelerator = None
    text_bytes: int = TEXT_BYTES
    keep_latents: bool = False
    ema: EMAModel = field(init=False)
    optimizer: BankedAdafactor = field(init=False)
    apprentice: Backbone = field(init=False)
    _texts: dict[str, Conditions] = field(default_factory=dict, init=False)
    _latents: dict[str, torch.Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.apprentice = self.base.with_network(self.unet)
        groups = [
            {"params": self.unet.base_parameters(), "lr": self.settings.learning_rate},
            {"params": self.unet.new_parameters(), "lr": self.settings.new_layer_learning_rate},
        ]
        self.unet.requires_grad_(True)
        self.optimizer = BankedAdafactor(groups, self.settings.learning_rate, self.settings.momentum)
        self.ema = EMAModel(
            self.unet.parameters(), decay=self.settings.ema_decay, use_ema_warmup=True, power=0.75, foreach=True
        )
        if self.settings.gradient_checkpointing:
            self.unet.enable_gradient_checkpointing()
        if self.accelerator is None:
            self.accelerator = Accelerator(cpu=self.base.device.type == "cpu")
        parts = self.accelerator.num_processes * self.settings.gradient_accumulation
        if parts > self.settings.subjects_per_batch:
            raise ValueError(
                f"apprentice.subjects_per_batch: {self.settings.subjects_per_batch}, expected at least {parts}: "
                f"{self.accelerator.num_processes} processes times gradient_accumulation"
            )
        self._loss = self.accelerator.prepare_model(ApprenticeLoss(self.apprentice))

    @property
    def process(self) -> tuple[int, int]:
        """(rank, processes)."""
        return self.accelerator.process_index, self.accelerator.num_processes

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return bool(self.accelerator.is_main_process)

    def train_step(self, batch: Batch) -> float:
        """One optimiser step on this process's part of the step; returns the loss over all processes.

        Noise and timesteps are drawn for the whole step and cut: the result depends on neither the number of
        processes nor ``gradient_accumulation``, up to rounding.

        Raises:
            FloatingPointError: the loss is not finite; names the step and the remedy.
        """
        settings, device = self.settings, self.base.device
        rates = (settings.learning_rate, settings.new_layer_learning_rate)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min(1.0, (self.step + 1) / max(1, settings.warmup_steps))
        draw = torch_generator(self.seed, "apprentice", "noise", self.step)
        fraction = torch.rand(batch.total, generator=draw) ** settings.timestep_power
        timesteps = self.base.schedule.times(fraction)
        noise = torch.randn((batch.total, *self.base.shape), generator=draw)
        parts = batch.split(settings.gradient_accumulation)
        value = torch.zeros((), device=device)
        for number, part in enumerate(parts, start=1):
            rows = slice(part.first, part.first + len(part.prompts))
            share = len(part.prompts) / batch.total
            # Processes exchange gradients once a step, with the last part.
            with nullcontext() if number == len(parts) else self.accelerator.no_sync(self._loss):
                with autocast(self.compute, device):
                    text, texts = self.encode(part.prompts), self.encode(part.texts)
                    x_start = self.clean(part.targets, part.target_keys)
                    shown = self.clean(part.demonstrations, part.shown_keys)
                    loss = self._loss(
                        part, x_start, shown, text, texts, noise[rows].to(device), timesteps[rows].to(device)
                    )
                # Gradients are averaged over processes, so each weighs its part by the number of them.
                with deterministic_backward(device):
                    self.accelerator.backward(loss * (share * self.accelerator.num_processes))
            value += loss.detach().float() * share
        value = self.accelerator.reduce(value, "sum").item()
        if not math.isfinite(value):
            raise FloatingPointError(
                f"apprentice: loss {value} at step {self.step}; lower apprentice.learning_rate "
                f"({settings.learning_rate}) or apprentice.new_layer_learning_rate ({settings.new_layer_learning_rate})"
            )
        self.accelerator.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.step(self.unet.parameters())
        self.step += 1
        return value

    def encode(self, texts: Sequence[str]) -> Conditions:
        """Conditions of texts, each encoded once (by itself: no row depends on its batch)."""
        for text in dict.fromkeys(texts):
            if text not in self._texts:
                row = self.base.encode([text])
                if (len(self._texts) + 1) * row.nbytes > self.text_bytes:
                    self._texts = {known: self._texts[known] for known in texts if known in self._texts}
                self._texts[text] = row
        return Conditions.join([self._texts[text] for text in texts])

    def clean(self, pictures: torch.Tensor, keys: Sequence[str]) -> torch.Tensor:
        """Clean inputs ``(B, C, h, w)`` of pictures ``(B, 3, H, W)``.

        With ``keep_latents`` a picture is encoded once, by itself: what it becomes then depends neither
        on the pictures beside it nor on where a killed run went on.
        """
        codec, device = self.base.codec, self.base.device
        if not (self.keep_latents and keys):
            return codec.encode(pictures.to(device))
        for key, picture in zip(keys, pictures, strict=True):
            if key not in self._latents:
                self._latents[key] = codec.encode(picture[None].to(device))
        return torch.cat([self._latents[key] for key in keys])

    def latents_fit(self, pictures: int) -> bool:
        """Whether a VAE's latents of so many pictures may be kept; patches of pixels cost nothing to make anew."""
        return not self.base.codec.bounded and pictures * 4 * math.prod(self.base.shape) <= LATENT_BYTES

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "unet": self.unet.state_dict(), "ema": self.ema.state_dict(), "optimizer": self.optimizer.state_dict(),
            "step": self.step, "losses": self.losses, "validation": self.validation,
        }  # fmt: skip
        write_state(path, state)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            ValueError: the file is no whole checkpoint; the trainer is then as it was.
        """
        state = read_state(path)
        self.unet.load_state_dict(state["unet"])
        self.ema.load_state_dict(state["ema"])
        self.ema.to(self.base.device)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.losses, self.validation = state["step"], state["losses"], state["validation"]


def new_apprentice(base: Backbone, settings: Apprentice, seed: int) -> ApprenticeUNet:
    """Apprentice with the base's weights and fresh attention over demonstrations, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_generator(seed, "apprentice", "init").initial_seed() % 2**31)
        return ApprenticeUNet.from_base(cast(UNet2DConditionModel, base.network), settings.initialization)
