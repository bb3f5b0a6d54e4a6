"""The apprentice (section 4.2): one model trained on G to do what the experts did, from demonstrations alone (Eq. 5).

A step takes some subjects. Of each it takes a few demonstrations from the cluster C_s, encoded once, and a few of
the experts' samples as targets, which share that encoding. Conditions are dropped at times, for guidance.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from tqdm.auto import tqdm
from transformers import Adafactor

from suti.compute import autocast
from suti.config.schema import Apprentice, Compute
from suti.diffusion.losses import denoising_loss
from suti.fine_tuning import fixed_rate_adafactor
from suti.io.atomic import atomic_path
from suti.language.text import with_article
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.base import BaseModel
from suti.models.pipeline import to_tensor
from suti.seeds import generator, torch_generator

Pictures = Mapping[str, np.ndarray] | Callable[[str], np.ndarray]


@dataclass(frozen=True)
class Subject:
    """One subject of G: demonstrations and targets as (picture's key, text), its description and its class noun."""

    subject_id: str
    demonstrations: tuple[tuple[str, str], ...]
    targets: tuple[tuple[str, str], ...]
    description: str = ""
    class_name: str = ""


@dataclass
class Batch:
    """One step's data; S subjects, T targets and k demonstrations each, subject-major.

    Attributes:
        targets: ``(S T, 3, H, W)`` in [-1, 1]; prompts: S T texts, '' where dropped.
        demonstrations: ``(S k, 3, H, W)``; texts: S k.
        present: ``(S T,)`` of 0 and 1, 0 where a target's demonstrations are dropped.
        k: demonstrations a subject.
    """

    targets: torch.Tensor
    prompts: list[str]
    demonstrations: torch.Tensor
    texts: list[str]
    present: torch.Tensor
    k: int


def make_batch(
    subjects: Sequence[Subject],
    target_picture: Callable[[str], np.ndarray],
    demonstration_picture: Callable[[str], np.ndarray],
    settings: Apprentice,
    size: int,
    seed: int,
    step: int,
) -> Batch:
    """Data of a step, keyed by (seed, step): a resumed run sees what it would have seen.

    Subjects are drawn in proportion to their samples in G, so every sample of G is as likely as another.
    """
    rng = generator(seed, "apprentice", "batch", step)
    weights = np.array([len(s.targets) for s in subjects], dtype=np.float64)
    chosen = rng.choice(
        len(subjects), settings.subjects_per_batch, replace=len(subjects) < settings.subjects_per_batch,
        p=weights / weights.sum(),
    )  # fmt: skip
    targets, prompts, shown, texts, present = [], [], [], [], []
    for number in chosen:
        subject = subjects[number]
        k, count = settings.demonstrations, len(subject.demonstrations)
        # One draw for demonstrations and targets alike: in use both name the subject, or both name its class.
        by_class_alone = rng.random() < settings.class_noun_share
        for i in rng.choice(count, k, replace=count < k):
            key, text = subject.demonstrations[i]
            shown.append(to_tensor(demonstration_picture(key), size))
            texts.append(by_class(text, subject) if by_class_alone else text)
        available = len(subject.targets)
        for i in rng.choice(available, settings.targets_per_subject, replace=available < settings.targets_per_subject):
            key, prompt = subject.targets[i]
            targets.append(to_tensor(target_picture(key), size))
            drop_text, drop_demonstrations = dropped(rng.random(), settings)
            prompts.append("" if drop_text else by_class(prompt, subject) if by_class_alone else prompt)
            present.append(0.0 if drop_demonstrations else 1.0)
    return Batch(
        torch.stack(targets), prompts, torch.stack(shown), texts, torch.tensor(present), settings.demonstrations
    )


def by_class(text: str, subject: Subject) -> str:
    """A text that names the subject by its class alone: 'a teal vase in the snow' becomes 'a vase in the snow'.

    The benchmark's prompts name the class, so what tells one vase from another is to be seen in the demonstrations.
    """
    if not subject.description or subject.description == subject.class_name:
        return text
    named = re.compile(rf"(\b(?:an?|the) )?\b{re.escape(subject.description)}\b", re.IGNORECASE)

    def replaced(match: re.Match[str]) -> str:
        article = (match[1] or "").strip().lower()
        return with_article(subject.class_name) if article in ("a", "an") else (match[1] or "") + subject.class_name

    return named.sub(replaced, text)


def dropped(draw: float, settings: Apprentice) -> tuple[bool, bool]:
    """Whether a target loses its text and its demonstrations, of one uniform draw in [0, 1)."""
    both = draw < settings.drop_both
    text = both or draw < settings.drop_both + settings.drop_text
    start = settings.drop_both + settings.drop_text
    return text, both or start <= draw < start + settings.drop_demonstrations


def apprentice_loss(
    unet: ApprenticeUNet, base: BaseModel, batch: Batch, text: torch.Tensor, texts: torch.Tensor, noise: torch.Tensor,
    timesteps: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """Eq. 5: denoise the expert's sample y_s given its prompt p_s and the demonstrations C_s. A scalar.

    Args:
        text: hidden states of the targets' prompts, ``(S T, L, D)``; texts: of the demonstrations', ``(S k, L, D)``.
        noise: as the targets' UNet inputs; timesteps: ``(S T,)``.
    """
    codec, device = base.codec, base.device
    demonstrations = unet.encode_demonstrations(codec.encode(batch.demonstrations.to(device)), texts, batch.k)
    condition = {"demonstrations": demonstrations.with_present(batch.present.to(device))}
    return denoising_loss(
        lambda x, t: unet(x, t, text, cross_attention_kwargs=condition, return_dict=False)[0],
        base.scheduler, codec.encode(batch.targets.to(device)), noise, timesteps,
    ).mean()  # fmt: skip


@dataclass
class Trainer:
    """The apprentice in training: weights, averaged weights, optimiser, step; saved whole in a checkpoint."""

    unet: ApprenticeUNet
    base: BaseModel
    settings: Apprentice
    compute: Compute
    seed: int
    step: int = 0
    losses: list[dict[str, float]] = field(default_factory=list)
    ema: EMAModel = field(init=False)
    optimizer: Adafactor = field(init=False)
    _texts: dict[str, torch.Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        groups = [
            {"params": self.unet.base_parameters(), "lr": self.settings.learning_rate},
            {"params": self.unet.new_parameters(), "lr": self.settings.new_layer_learning_rate},
        ]
        self.unet.requires_grad_(True)
        self.optimizer = fixed_rate_adafactor(groups, self.settings.learning_rate, self.settings.momentum)
        self.ema = EMAModel(self.unet.parameters(), decay=self.settings.ema_decay, use_ema_warmup=True, power=0.75)

    def train_step(self, batch: Batch) -> float:
        """One optimiser step; returns the loss.

        Raises:
            FloatingPointError: the loss is not finite; names the step and the remedy.
        """
        settings, device = self.settings, self.base.device
        rates = (settings.learning_rate, settings.new_layer_learning_rate)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min(1.0, (self.step + 1) / max(1, settings.warmup_steps))
        draw = torch_generator(self.seed, "apprentice", "noise", self.step)
        total, count = self.base.scheduler.config.num_train_timesteps, len(batch.targets)
        fraction = torch.rand(count, generator=draw) ** settings.timestep_power
        timesteps = (total * fraction).long().clamp(max=total - 1).to(device)
        side = int(self.unet.config.sample_size)
        noise = torch.randn((count, self.unet.config.in_channels, side, side), generator=draw).to(device)
        with autocast(self.compute, device):
            text, texts = self.encode(batch.prompts), self.encode(batch.texts)
            loss = apprentice_loss(self.unet, self.base, batch, text, texts, noise, timesteps)
        if not math.isfinite(loss.item()):
            raise FloatingPointError(
                f"apprentice: loss {loss.item()} at step {self.step}; lower apprentice.learning_rate "
                f"({settings.learning_rate}) or apprentice.new_layer_learning_rate ({settings.new_layer_learning_rate})"
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.step(self.unet.parameters())
        self.step += 1
        return loss.item()

    def encode(self, texts: Sequence[str], limit: int = 20_000) -> torch.Tensor:
        """Hidden states ``(B, L, D)``, each text encoded once (by itself: no row depends on its batch)."""
        for text in dict.fromkeys(texts):
            if text not in self._texts:
                if len(self._texts) >= limit:
                    self._texts.clear()
                self._texts[text] = self.base.encode_text([text])[0]
        return torch.stack([self._texts[text] for text in texts])

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "unet": self.unet.state_dict(), "ema": self.ema.state_dict(), "optimizer": self.optimizer.state_dict(),
            "step": self.step, "losses": self.losses,
        }  # fmt: skip
        with atomic_path(path) as part:
            torch.save(state, part)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of our own (read without running any pickled code)."""
        state: dict[str, Any] = torch.load(path, map_location=self.base.device, weights_only=True)
        self.unet.load_state_dict(state["unet"])
        self.ema.load_state_dict(state["ema"])
        self.ema.to(self.base.device)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.losses = state["step"], state["losses"]


def new_apprentice(base: BaseModel, settings: Apprentice, seed: int) -> ApprenticeUNet:
    """Apprentice with the base's weights and fresh attention over demonstrations, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_generator(seed, "apprentice", "init").initial_seed() % 2**31)
        return ApprenticeUNet.from_base(base.unet, settings.initialization)


def train_apprentice(
    trainer: Trainer,
    subjects: Sequence[Subject],
    target_picture: Callable[[str], np.ndarray],
    demonstration_picture: Callable[[str], np.ndarray],
    checkpoint: Path,
) -> ApprenticeUNet:
    """Train to ``settings.steps`` and return the averaged weights; resumes from ``checkpoint`` if it is there.

    Raises:
        ValueError: G is empty.
    """
    if not subjects:
        raise ValueError("apprentice: G is empty at this lambda; lower it in filtering.grid")
    settings = trainer.settings
    if checkpoint.exists():
        trainer.resume(checkpoint)
    progress = tqdm(total=settings.steps, initial=trainer.step, desc="apprentice", unit="step", mininterval=5)
    smooth = trainer.losses[-1]["loss"] if trainer.losses else math.nan
    trainer.unet.train()
    while trainer.step < settings.steps:
        batch = make_batch(
            subjects,
            target_picture,
            demonstration_picture,
            settings,
            trainer.base.image_size,
            trainer.seed,
            trainer.step,
        )
        loss = trainer.train_step(batch)
        smooth = loss if math.isnan(smooth) else 0.97 * smooth + 0.03 * loss
        progress.update()
        progress.set_postfix_str(f"loss {smooth:.4f}", refresh=False)
        if trainer.step % 10 == 0:
            trainer.losses.append({"step": trainer.step, "loss": smooth})
        if trainer.step % settings.checkpoint_every == 0 and trainer.step < settings.steps:
            trainer.save(checkpoint)
    progress.close()
    trainer.ema.copy_to(trainer.unet.parameters())
    return trainer.unet.requires_grad_(False).eval()
