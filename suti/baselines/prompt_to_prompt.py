"""Prompt-to-Prompt (arXiv 2208.01626): two prompts drawn from one noise, the second with the first one's attention.

Null-Text Inversion edits real pictures with it, InstructPix2Pix makes its training pairs with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
import torch

from suti.diffusion.sampling import guide, sample_ddpm, sampling_scheduler
from suti.models.attention_control import AttentionControl, Shares, controlled_attention
from suti.models.base import BaseModel
from suti.models.word_alignment import align


@torch.no_grad()
def draw_pairs(
    base: BaseModel, sources: Sequence[str], targets: Sequence[str], generators: Sequence[tuple[torch.Generator, ...]],
    num_inference_steps: int, guidance_scale: float, dynamic_thresholding: bool, cross_share: Shares,
    self_share: Shares, unconditional: bool = False,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Draw pairs of pictures, of n sources and their targets: uint8 ``(n, H, W, 3)`` each.

    Sampling is the project's (DDPM), so the noise that is added on the way is shared too.

    Args:
        generators: two generators of one key for each pair: both pictures get the same noise.
        cross_share, self_share: shares of the steps at which maps are replaced; see ``AttentionControl``.
        unconditional: control the unconditional half of the guidance too, as InstructPix2Pix does; the authors of
            Prompt-to-Prompt leave it.
    """
    n = len(sources)
    guided = guidance_scale != 1
    text = base.encode_text([*sources, *targets])
    texts = torch.cat([base.encode_text([""]).expand(2 * n, -1, -1), text]) if guided else text
    texts = texts.to(base.unet.dtype)
    # Rows: sources and targets without text (if guided), then sources and targets.
    halves = [0, 2 * n] if guided and unconditional else [len(texts) - 2 * n]
    alignments = [align(base.tokenizer, s, t) for s, t in zip(sources, targets, strict=True)]
    shares = [
        share if isinstance(share, float | int) else [*share] * len(halves) for share in (cross_share, self_share)
    ]
    control = AttentionControl(
        [half + n + i for half in halves for i in range(n)], [half + i for half in halves for i in range(n)],
        alignments * len(halves), *shares, base.device,
    )  # fmt: skip
    steps = count()

    def denoiser(x: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        control.at(next(steps), num_inference_steps)
        copies = 2 if guided else 1
        out = base.unet(
            torch.cat([x.to(base.unet.dtype)] * copies), torch.cat([timesteps] * copies), texts, return_dict=False
        )[0]
        return guide(out[2 * n :], out[: 2 * n], guidance_scale) if guided else out

    scheduler = sampling_scheduler(base.scheduler, pixel=base.vae is None, dynamic_thresholding=dynamic_thresholding)
    side = int(base.unet.config.sample_size)
    shape = (2 * n, base.unet.config.in_channels, side, side)
    rows = [pair[0] for pair in generators] + [pair[1] for pair in generators]
    with controlled_attention(base.unet, control):
        x = sample_ddpm(denoiser, scheduler, shape, rows, num_inference_steps, base.device)
    images = to_images(base, x)
    return images[:n], images[n:]


def to_images(base: BaseModel, x_start: torch.Tensor) -> np.ndarray:
    """UNet inputs ``(B, C, h, w)`` as pictures, uint8 ``(B, H, W, 3)``."""
    pictures = base.codec.decode(x_start)
    return ((pictures.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
