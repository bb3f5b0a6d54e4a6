"""Drawing the unseen prompts of K experts at once, with the sampler of ``suti.models.drawing``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from suti.compute import autocast
from suti.config.schema import Compute
from suti.diffusion.settings import Sampling
from suti.models.backbone import Backbone
from suti.models.drawing import draw

Wanted = tuple[str, torch.Generator]


def draw_experts(
    base: Backbone,
    wanted: Sequence[Sequence[Wanted]],
    sampling: Sampling,
    compute: Compute,
    micro_batch: int,
) -> list[np.ndarray]:
    """Draw each expert's prompts.

    Args:
        base: the base, inside ``suti.experts.batched.training.stacked_unet``, K experts trained.
        wanted: for each of the K experts the prompts, each with a generator of its own; any number, also none.
            Shorter lists are filled up with rows that are drawn and thrown away.
        micro_batch: images of an expert in a training pass, which say how many prompts a pass here takes.

    Returns:
        For each expert uint8 ``(N, H, W, 3)``, one picture a prompt.
    """
    side = base.image_size
    drawn: list[list[np.ndarray]] = [[np.zeros((0, side, side, 3), np.uint8)] for _ in wanted]
    longest = max(map(len, wanted))
    most = 2 * micro_batch  # without gradients a row needs little of its memory
    passes = -(-longest // most)
    columns = -(-longest // passes) if passes else 1  # equal passes, as each shape is compiled by itself
    for start in range(0, longest, columns):
        padded = [part for prompts in wanted for part in _padded(prompts[start : start + columns], columns)]
        with autocast(compute, base.device):
            images = draw(
                base, [prompt for prompt, _ in padded], None, [generator for _, generator in padded], sampling,
                experts=len(wanted),
            )  # fmt: skip
        for expert, prompts in enumerate(wanted):
            first = expert * columns
            drawn[expert].append(images[first : first + len(prompts[start : start + columns])])
    return [np.concatenate(parts) for parts in drawn]


def _padded(prompts: Sequence[Wanted], count: int) -> list[Wanted]:
    return [*prompts, *(("", torch.Generator().manual_seed(0)) for _ in range(count - len(prompts)))]
