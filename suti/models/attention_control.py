"""Attention control (Prompt-to-Prompt, arXiv 2208.01626, section 3): maps of edited rows come from their source's row.

It works through diffusers' attention processors, on any ``UNet2DConditionModel``: text and self attention apart (Stable
Diffusion, the embedded base) and both in one map (DeepFloyd IF).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import (
    Attention,
    AttnAddedKVProcessor,
    AttnAddedKVProcessor2_0,
    AttnProcessor,
)

from suti.models.word_alignment import Alignment

SELF_TOKENS = 32**2  # larger self-attention maps are left as they are, as in the authors' code: they hold texture
Edit = Callable[[torch.Tensor, int], torch.Tensor]


@dataclass
class AttentionControl:
    """Which rows of a forward pass take maps of which others, and whether they do at the current step.

    Attributes:
        rows: edited rows of the batch, (n,).
        sources: the row that each takes its maps from, (n,).
        mapping, shared: the n ``Alignment``s, ``(n, L, L)`` and ``(n, L)``.
        cross, self_: whether cross-attention and self-attention maps are replaced now.
    """

    rows: Sequence[int]
    sources: Sequence[int]
    mapping: torch.Tensor
    shared: torch.Tensor
    cross: bool = field(default=False)
    self_: bool = field(default=False)

    @classmethod
    def of(
        cls, rows: Sequence[int], sources: Sequence[int], alignments: Sequence[Alignment], device: torch.device
    ) -> AttentionControl:
        """Control of ``rows`` by their alignments."""
        mapping = torch.stack([a.mapping for a in alignments]).to(device)
        return cls(rows, sources, mapping, torch.stack([a.shared for a in alignments]).to(device))

    def at(self, step: int, steps: int, cross_share: float, self_share: float) -> None:
        """Set what is replaced at a step counted from 0: the first ``share`` of the steps, rounded."""
        self.cross, self.self_ = step < round(cross_share * steps), step < round(self_share * steps)

    def edit(self, maps: torch.Tensor, text_tokens: int) -> torch.Tensor:
        """Attention maps ``(B, heads, queries, keys)`` with those of ``rows`` replaced.

        Args:
            text_tokens: how many of the first keys are the text's: all, none, or, for IF, a part.
        """
        small = maps.shape[2] <= SELF_TOKENS
        edit_text, edit_self = self.cross and text_tokens > 0, self.self_ and maps.shape[3] > text_tokens and small
        if not (edit_text or edit_self):
            return maps
        own, theirs = maps[self.rows], maps[self.sources]
        text, own_self = own[..., :text_tokens], own[..., text_tokens:]
        if edit_text:
            mapping, shared = (v.to(maps.dtype) for v in (self.mapping, self.shared))
            moved = torch.einsum("nhqs,nst->nhqt", theirs[..., :text_tokens], mapping)
            text = torch.lerp(text, moved, shared[:, None, None])
        if edit_self:
            own_self = theirs[..., text_tokens:]
        edited = torch.cat([text, own_self], dim=-1)
        if 0 < text_tokens < maps.shape[3]:
            edited = edited / edited.sum(-1, keepdim=True)  # one map of both kinds: its rows go on summing to 1
        maps = maps.clone()
        maps[self.rows] = edited.to(maps.dtype)
        return maps


class ControlledAttnProcessor:
    """diffusers' plain processor, whose attention maps pass through a control before they weigh the values."""

    def __init__(self, edit: Edit, *, text_tokens: int, joint: bool) -> None:
        self._edit, self._text_tokens = edit, text_tokens
        self._plain = AttnAddedKVProcessor() if joint else AttnProcessor()
        self._joint = joint

    def __call__(
        self, attn: Attention, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None, temb: torch.Tensor | None = None, **kwargs: object,
    ) -> torch.Tensor:  # fmt: skip
        """Output of the attention module, as the input's shape."""
        scores = attn.get_attention_scores
        text_tokens = self._text_tokens if self._joint or encoder_hidden_states is not None else 0

        def controlled(*args: torch.Tensor | None) -> torch.Tensor:
            maps = scores(*args)
            return self._edit(maps.unflatten(0, (-1, attn.heads)), text_tokens).flatten(0, 1)

        # The plain processors get their maps from this method; for one call the module has another.
        attn.get_attention_scores = controlled
        try:
            if self._joint:
                return self._plain(attn, hidden_states, encoder_hidden_states, attention_mask)
            return self._plain(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        finally:
            del attn.get_attention_scores


@contextmanager
def controlled_attention(unet: UNet2DConditionModel, control: AttentionControl) -> Iterator[None]:
    """All attention of a UNet under a control; its own processors are back on leaving."""
    before = unet.attn_processors
    joint = (AttnAddedKVProcessor, AttnAddedKVProcessor2_0)
    text_tokens = control.mapping.shape[1]
    unet.set_attn_processor(
        {
            name: ControlledAttnProcessor(control.edit, text_tokens=text_tokens, joint=isinstance(processor, joint))
            for name, processor in before.items()
        }
    )
    try:
        yield
    finally:
        unet.set_attn_processor(before)
