"""Whether the apprentice looks at its demonstrations: its loss with the right ones, with another subject's, with none.

Subjects, targets, demonstrations, timesteps and noise are the same every time, so the curves are smooth. The gap
between right and wrong opens long before samples show the subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from suti.apprentice.data import Subject
from suti.apprentice.trainer import Trainer
from suti.compute import autocast
from suti.diffusion.losses import denoising_loss
from suti.diffusion.settings import Sampling
from suti.models.backbone import References
from suti.models.codec import to_tensor
from suti.models.drawing import draw
from suti.seeds import generator, torch_generator

SUBJECTS, LEVELS = 16, 4  # most subjects of a validation; timesteps of each, spread evenly
SHOWN = 4  # subjects of a sheet
SAMPLING = Sampling(num_inference_steps=16, guidance_scale=3.0)  # of a sheet's samples


@dataclass(frozen=True)
class Views:
    """Fixed views of some subjects: one target and k demonstrations each.

    Attributes:
        targets: ``(S, 3, H, W)`` in [-1, 1]; demonstrations: ``(S k, 3, H, W)``, subject-major.
    """

    targets: torch.Tensor
    prompts: list[str]
    demonstrations: torch.Tensor
    texts: list[str]
    k: int


def fixed_views(
    subjects: Sequence[Subject],
    target_picture: Callable[[str], np.ndarray],
    demonstration_picture: Callable[[str], np.ndarray],
    k: int,
    size: int,
    seed: int,
) -> Views:
    """Views of the first ``SUBJECTS`` subjects, keyed by (seed, subject)."""
    targets, prompts, shown, texts = [], [], [], []
    for subject in subjects[:SUBJECTS]:
        rng = generator(seed, "apprentice", "views", subject.subject_id)
        key, prompt = subject.targets[rng.integers(len(subject.targets))]
        targets.append(to_tensor(target_picture(key), size))
        prompts.append(prompt)
        others = [(name, text) for name, text in subject.demonstrations if name != key]
        for i in rng.choice(len(others), k, replace=len(others) < k):
            key, text = others[i]
            shown.append(to_tensor(demonstration_picture(key), size))
            texts.append(text)
    return Views(torch.stack(targets), prompts, torch.stack(shown), texts, k)


@contextmanager
def averaged_weights(trainer: Trainer) -> Iterator[None]:
    """The trainer's network with its averaged weights, in evaluation mode; as before on leaving, to the bit."""
    trainer.ema.store(trainer.unet.parameters())
    trainer.ema.copy_to(trainer.unet.parameters())
    trainer.unet.eval()
    try:
        with torch.no_grad(), autocast(trainer.compute, trainer.base.device):
            yield
    finally:
        trainer.unet.train()
        trainer.ema.restore(trainer.unet.parameters())


def conditions(trainer: Trainer, views: Views) -> dict[str, References | None]:
    """Demonstrations of each kind: 'right', 'wrong' (those of the next subject; with two or more), 'none'."""
    base = trainer.base
    right = trainer.apprentice.encode_references(
        base.codec.encode(views.demonstrations.to(base.device)), trainer.encode(views.texts), views.k
    )
    found: dict[str, References | None] = {"right": right}
    if len(views.prompts) > 1:
        found["wrong"] = right.rolled()
    return {**found, "none": None}


def validation_losses(trainer: Trainer, views: Views) -> dict[str, float]:
    """Mean loss of Eq. 5 under each of ``conditions``, with the averaged weights."""
    base, count = trainer.base, len(views.prompts)
    losses: dict[str, float] = {}
    with averaged_weights(trainer):
        x_start, text = base.codec.encode(views.targets.to(base.device)), trainer.encode(views.prompts)
        shown = conditions(trainer, views)
        for level in range(LEVELS):
            timesteps = base.schedule.times(torch.full((count,), (level + 0.5) / LEVELS)).to(base.device)
            draws = torch_generator(trainer.seed, "apprentice", "validation", level)
            noise = torch.randn(x_start.shape, generator=draws).to(x_start)
            for name, demonstrations in shown.items():
                loss = denoising_loss(
                    partial(trainer.apprentice.predict, conditions=text, references=demonstrations),
                    base.schedule, x_start, noise, timesteps,
                ).mean()  # fmt: skip
                losses[name] = losses.get(name, 0.0) + loss.item() / LEVELS
    return losses


def samples(trainer: Trainer, views: Views) -> dict[str, np.ndarray]:
    """One picture a subject under each of ``conditions``, same noise: uint8 ``(S, H, W, 3)`` of ``SHOWN`` subjects."""
    some = Views(views.targets[:SHOWN], views.prompts[:SHOWN], views.demonstrations[: SHOWN * views.k],
                 views.texts[: SHOWN * views.k], views.k)  # fmt: skip
    with averaged_weights(trainer):
        return {
            name: draw(
                trainer.apprentice, some.prompts, demonstrations,
                [torch_generator(trainer.seed, "apprentice", "sheet", row) for row in range(len(some.prompts))],
                SAMPLING, experts=len(some.prompts),
            )
            for name, demonstrations in conditions(trainer, some).items()
        }  # fmt: skip
