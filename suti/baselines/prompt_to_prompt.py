"""Prompt-to-Prompt (arXiv 2208.01626): two prompts drawn from one noise, the second with the first one's attention.

Null-Text Inversion edits real pictures with it, InstructPix2Pix makes its training pairs with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from suti.diffusion.settings import Sampling
from suti.models.attention_control import AttentionControl, Shares, controlled_attention
from suti.models.base import BaseModel
from suti.models.drawing import draw
from suti.models.word_alignment import align


def draw_pairs(
    base: BaseModel, sources: Sequence[str], targets: Sequence[str], generators: Sequence[tuple[torch.Generator, ...]],
    sampling: Sampling, cross_share: Shares, self_share: Shares, unconditional: bool = False,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Draw pairs of pictures, of n sources and their targets: uint8 ``(n, H, W, 3)`` each.

    Drawing is the project's (DDPM), so the noise that is added on the way is shared too. All steps are guided.

    Args:
        generators: two generators of one key for each pair: both pictures get the same noise.
        cross_share, self_share: shares of the steps at which maps are replaced; see ``AttentionControl``.
        unconditional: control the unconditional half of the guidance too, as InstructPix2Pix does; the authors of
            Prompt-to-Prompt leave it.
    """
    n, steps = len(sources), sampling.num_inference_steps
    # Rows of a prediction: sources and targets without text (if guided), then sources and targets.
    first = 2 * n if sampling.guidance_scale != 1 else 0
    halves = [0, first] if first and unconditional else [first]
    alignments = [align(base.tokenizer, s, t) for s, t in zip(sources, targets, strict=True)]
    cross, self_ = (
        share if isinstance(share, float | int) else [*share] * len(halves) for share in (cross_share, self_share)
    )
    control = AttentionControl(
        [half + n + i for half in halves for i in range(n)], [half + i for half in halves for i in range(n)],
        alignments * len(halves), cross, self_, base.device,
    )  # fmt: skip
    control.at(0, steps)
    rows = [pair[0] for pair in generators] + [pair[1] for pair in generators]
    with controlled_attention(base.unet, control):
        images = draw(
            base, [*sources, *targets], None, rows, replace(sampling, guidance_stop=1.0),
            callback=lambda finished: control.at(finished, steps),
        )  # fmt: skip
    return images[:n], images[n:]
