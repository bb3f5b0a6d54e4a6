"""New attention over the demonstrations, and its place in a diffusers UNet (section 3; Re-Imagen, arXiv 2209.14491).

``DemonstrationAttention`` is the new layer. ``DemonstrationProcessor`` puts it behind an attention module's own
processor, diffusers' extension point: the module's output gains what the new layer reads from the demonstrations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from suti.models.small_attention import attend

Initialization = Literal["self_attention", "zero", "random"]
KeysValues = tuple[torch.Tensor, torch.Tensor]


@dataclass
class Demonstrations:
    """What the new layers read in one forward pass of the UNet: ``subjects`` subjects with k demonstrations each.

    Attributes:
        keys_values: for each attention module's name, keys and values ``(subjects, heads, k * tokens, head_dim)``.
        present: ``(B,)`` of 0 and 1: whether a row of the batch sees its demonstrations; rows are subject-major, so
            ``B = subjects * rows a subject``. None: all rows do.
    """

    keys_values: dict[str, KeysValues] = field(default_factory=dict)
    present: torch.Tensor | None = None

    def __bool__(self) -> bool:
        """Whether there are any to read."""
        return bool(self.keys_values)

    def with_present(self, present: torch.Tensor | None) -> Demonstrations:
        """The same keys and values with another ``present``."""
        return Demonstrations(self.keys_values, present)

    def rolled(self) -> Demonstrations:
        """Each subject sees the demonstrations of the subject before it, the first one those of the last."""
        return Demonstrations({n: (k.roll(1, 0), v.roll(1, 0)) for n, (k, v) in self.keys_values.items()}, self.present)


class DemonstrationAttention(nn.Module):
    """Cross-attention from the UNet's tokens to the demonstrations' tokens; permutation-invariant over both."""

    def __init__(
        self, query_dim: int, source_dim: int, heads: int, initialization: Initialization, normalize: bool = True
    ) -> None:
        """``normalize``: whether the inputs still need a layer norm (they do not inside a transformer block)."""
        super().__init__()
        self.heads = heads
        inner = query_dim
        self.norm_query = nn.LayerNorm(query_dim) if normalize else nn.Identity()
        self.norm_source = nn.LayerNorm(source_dim) if normalize else nn.Identity()
        self.to_q = nn.Linear(query_dim, inner, bias=False)
        self.to_k = nn.Linear(source_dim, inner, bias=False)
        self.to_v = nn.Linear(source_dim, inner, bias=False)
        self.to_out = nn.Linear(inner, query_dim)
        if initialization != "random":
            nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)

    @torch.no_grad()
    def start_from(self, attention: nn.Module) -> None:
        """Take queries, keys and values of a self-attention of the base, where the widths agree.

        A demonstration's tokens lie in the space that self-attention compares: it finds like parts from the start.
        """
        for name in ("to_q", "to_k", "to_v"):
            known, new = getattr(attention, name, None), getattr(self, name)
            if known is not None and known.weight.shape == new.weight.shape:
                new.weight.copy_(known.weight)

    def keys_values(self, source: torch.Tensor) -> KeysValues:
        """Keys and values ``(S, heads, M, head_dim)`` of the demonstrations' features ``(S, M, source_dim)``."""
        source = self.norm_source(source)
        keys, values = (
            x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (self.to_k(source), self.to_v(source))
        )
        return keys, values

    def forward(self, hidden: torch.Tensor, keys_values: KeysValues, present: torch.Tensor | None) -> torch.Tensor:
        """What ``hidden`` ``(B, N, query_dim)`` reads; 0 for rows whose ``present`` is 0.

        ``B`` is a multiple of the number S of subjects. Rows of one subject are folded into its queries, so the keys
        and values of a subject are neither copied nor computed again for each row.
        """
        keys, values = keys_values
        subjects, rows = keys.shape[0], hidden.shape[0] // keys.shape[0]
        queries = self.to_q(self.norm_query(hidden))
        queries = queries.reshape(subjects, rows * hidden.shape[1], self.heads, -1).transpose(1, 2)
        read = attend(queries, keys.to(queries.dtype), values.to(queries.dtype), hidden.shape[1])
        out = self.to_out(read.transpose(1, 2).reshape(hidden.shape[0], hidden.shape[1], -1))
        return out if present is None else out * present.to(out.dtype)[:, None, None]


class DemonstrationProcessor(nn.Module):
    """An attention processor that adds ``DemonstrationAttention`` to what the module's own processor gives.

    ``inner`` is the module's former processor. ``layer`` is None for self-attention and for modules that are only
    recorded. Conditions come through ``cross_attention_kwargs``: ``demonstrations`` (a ``Demonstrations``), or
    ``record``, a dict that takes this module's input tokens while the demonstrations themselves are encoded.
    """

    def __init__(self, name: str, inner: Callable[..., torch.Tensor], layer: DemonstrationAttention | None) -> None:
        super().__init__()
        self.name = name
        self.layer = layer
        self._inner = [inner]  # in a list: an inner nn.Module would change the base's parameter names

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
        demonstrations: Demonstrations | None = None,
        record: dict[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Output of the attention module, ``hidden_states``' shape: tokens ``(B, N, C)`` or maps ``(B, C, H, W)``."""
        out = self._inner[0](
            attn, hidden_states, encoder_hidden_states=encoder_hidden_states, attention_mask=attention_mask, temb=temb
        )
        if self.layer is None and record is None:
            return out
        is_map = hidden_states.ndim == 4
        tokens = hidden_states.flatten(2).transpose(1, 2) if is_map else hidden_states
        if record is not None:
            record[self.name] = tokens
        if demonstrations is None or self.layer is None or self.name not in demonstrations.keys_values:
            return out
        read = self.layer(tokens, demonstrations.keys_values[self.name], demonstrations.present)
        return out + (read.transpose(1, 2).reshape(out.shape) if is_map else read)
