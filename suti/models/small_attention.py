"""Attention of small feature maps on the CPU by two matrix products, which is faster there than the fused kernel.

``scaled_dot_product_attention`` on a CPU pays for a map of a few hundred tokens more than it saves; with plain products
a training step of the embedded apprentice took .43 s instead of .49 s of one core. The result is the same up to
rounding. Larger maps and GPUs keep the fused kernel.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0

TOKENS = 256  # of the map; beyond, the matrix of all scores costs more memory than it saves time


def attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, tokens: int) -> torch.Tensor:
    """Attention without a mask, in the way that is faster for maps of so many ``tokens``.

    Args:
        queries: ``(B, heads, N, D)``; keys and values: ``(B, heads, M, D)``, of the queries' dtype.

    Returns:
        ``(B, heads, N, D)``.
    """
    if queries.device.type != "cpu" or tokens > TOKENS:
        return F.scaled_dot_product_attention(queries, keys, values)
    # reshape and not flatten: heads are cut from one matrix product, so no view of all of them at once exists
    q, k, v = (part.reshape(-1, *part.shape[2:]) for part in (queries, keys, values))
    empty = torch.empty((), dtype=q.dtype, device=q.device)
    scores = torch.baddbmm(empty.expand(len(q), q.shape[1], k.shape[1]), q, k.mT, beta=0, alpha=q.shape[-1] ** -0.5)
    return torch.bmm(scores.softmax(-1), v).view(queries.shape)


class SmallMapAttnProcessor(AttnProcessor2_0):
    """diffusers' default processor, but for small maps on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self._plain = AttnProcessor()

    def __call__(self, attn: Attention, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Output of the attention module: tokens ``(B, N, C)`` or maps ``(B, C, H, W)``, as the input."""
        tokens = hidden_states.shape[1] if hidden_states.ndim == 3 else hidden_states[0, 0].numel()
        if hidden_states.device.type == "cpu" and tokens <= TOKENS:
            return self._plain(attn, hidden_states, *args, **kwargs)
        return super().__call__(attn, hidden_states, *args, **kwargs)


def use_small_map_attention(unet: UNet2DConditionModel) -> None:
    """Put ``SmallMapAttnProcessor`` in the place of every default processor; others stay."""
    processors = {
        name: SmallMapAttnProcessor() if type(processor) is AttnProcessor2_0 else processor
        for name, processor in unet.attn_processors.items()
    }
    unet.set_attn_processor(processors)
