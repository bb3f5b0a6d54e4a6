"""Attention control (Prompt-to-Prompt, arXiv 2208.01626, section 3): maps of edited rows come from their source's row.

It works through diffusers' attention processors, on any ``UNet2DConditionModel``: text and self attention apart (Stable
Diffusion, the embedded base) and both in one map (DeepFloyd IF).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

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
Shares = float | Sequence[float]
Processor = Callable[..., torch.Tensor]


class AttentionControl:
    """Which rows of a forward pass take maps of which others, and at which steps.

    Args:
        rows: edited rows of the batch, n of them.
        sources: the row that each takes its maps from.
        alignments: of each row's prompt with its source's.
        cross_share: share of the steps, from the first on, at which cross-attention maps are replaced; one for all, or
            one each.
        self_share: the same of self-attention maps.
    """

    def __init__(
        self, rows: Sequence[int], sources: Sequence[int], alignments: Sequence[Alignment], cross_share: Shares,
        self_share: Shares, device: torch.device,
    ) -> None:  # fmt: skip
        self.rows, self.sources = list(rows), list(sources)
        self._mapping = torch.stack([a.mapping for a in alignments]).to(device)
        self._shared = torch.stack([a.shared for a in alignments]).to(device)
        shares = (torch.as_tensor(share, dtype=torch.float64, device=device) for share in (cross_share, self_share))
        self._cross_share, self._self_share = (share.expand(len(self.rows)) for share in shares)
        self.cross = self.self_ = torch.zeros(len(self.rows), dtype=torch.bool, device=device)

    @property
    def text_tokens(self) -> int:
        """Tokens of a prompt."""
        return self._mapping.shape[1]

    def at(self, step: int, steps: int) -> None:
        """Say which step comes, counted from 0: a row is edited at the first ``share`` of the steps, rounded."""
        self.cross, self.self_ = (step < (share * steps).round() for share in (self._cross_share, self._self_share))

    @property
    def active(self) -> bool:
        """Whether any map is replaced now."""
        return bool(self.cross.any() or self.self_.any())

    def edit(self, maps: torch.Tensor, text_tokens: int) -> torch.Tensor:
        """Attention maps ``(B, heads, queries, keys)`` with those of ``rows`` replaced where they are now to be.

        Args:
            text_tokens: how many of the first keys are the text's: all, none, or, for IF, a part.
        """
        edit_text = text_tokens > 0 and bool(self.cross.any())
        edit_self = maps.shape[3] > text_tokens and maps.shape[2] <= SELF_TOKENS and bool(self.self_.any())
        if not (edit_text or edit_self):
            return maps
        own, theirs = maps[self.rows], maps[self.sources]
        text, rest = own[..., :text_tokens], own[..., text_tokens:]
        if edit_text:
            weight = (self._shared * self.cross[:, None]).to(maps.dtype)[:, None, None]
            moved = torch.einsum("nhqs,nst->nhqt", theirs[..., :text_tokens], self._mapping.to(maps.dtype))
            text = text * (1 - weight) + moved * weight
        if edit_self:
            rest = torch.where(self.self_[:, None, None, None], theirs[..., text_tokens:], rest)
        edited = torch.cat([text, rest], dim=-1)
        if 0 < text_tokens < maps.shape[3]:
            edited = edited / edited.sum(-1, keepdim=True)  # one map of both kinds: its rows go on summing to 1
        maps = maps.clone()
        maps[self.rows] = edited.to(maps.dtype)
        return maps


class ControlledAttnProcessor:
    """A processor whose attention maps pass through a control before they weigh the values.

    Where maps are edited it is diffusers' plain processor, which makes them as a matrix; everywhere else the module's
    own, so that no large map that stays as it is takes memory.
    """

    def __init__(self, control: AttentionControl, own: Any, *, joint: bool) -> None:
        self._control, self._own, self._joint = control, own, joint
        self._plain: Processor = AttnAddedKVProcessor() if joint else AttnProcessor()

    def __call__(
        self, attn: Attention, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None, temb: torch.Tensor | None = None, **kwargs: object,
    ) -> torch.Tensor:  # fmt: skip
        """Output of the attention module, as the input's shape."""
        inputs = [hidden_states, encoder_hidden_states, attention_mask, *([] if self._joint else [temb])]
        text_tokens = self._control.text_tokens if self._joint or encoder_hidden_states is not None else 0
        tokens = hidden_states.shape[1] if hidden_states.ndim == 3 else hidden_states[0, 0].numel()
        if not self._control.active or (text_tokens == 0 and tokens > SELF_TOKENS):
            return self._own(attn, *inputs, **kwargs)
        scores: Callable[..., torch.Tensor] = attn.get_attention_scores

        def controlled(*args: torch.Tensor | None) -> torch.Tensor:
            maps = scores(*args).unflatten(0, (-1, attn.heads))
            return self._control.edit(maps, text_tokens).flatten(0, 1)

        # The plain processors get their maps from this method; for one call the module has another.
        vars(attn)["get_attention_scores"] = controlled
        try:
            return self._plain(attn, *inputs)
        finally:
            del vars(attn)["get_attention_scores"]


@contextmanager
def controlled_attention(unet: UNet2DConditionModel, control: AttentionControl) -> Iterator[None]:
    """All attention of a UNet under a control; its own processors are back on leaving."""
    before = unet.attn_processors
    joint = (AttnAddedKVProcessor, AttnAddedKVProcessor2_0)
    controlled: Any = {  # diffusers names its own classes, and calls any other as well
        name: ControlledAttnProcessor(control, own, joint=isinstance(own, joint)) for name, own in before.items()
    }
    unet.set_attn_processor(controlled)
    try:
        yield
    finally:
        unet.set_attn_processor(before)
