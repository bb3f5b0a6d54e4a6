"""What a network reads beside its noisy input: named tensors whose rows are gathered, repeated and joined alike.

A UNet of Stable Diffusion or DeepFloyd IF reads one tensor, its text's ``hidden_states``. Other networks read more: a
mask, pooled text, sizes. Code that trains or draws moves ``Conditions`` as it moves the input's rows and knows no name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

HIDDEN_STATES = "hidden_states"
Rows = torch.Tensor | slice | list[int]


@dataclass(frozen=True, eq=False)
class Conditions:
    """Conditions of B rows.

    Attributes:
        tensors: name -> ``(B, ...)``, at least one, all of as many rows.

    Raises:
        ValueError: no tensors, or of different numbers of rows.
    """

    tensors: dict[str, torch.Tensor]

    def __post_init__(self) -> None:
        rows = {name: len(tensor) for name, tensor in self.tensors.items()}
        if len(set(rows.values())) != 1:
            raise ValueError(f"conditions: rows {rows}, expected at least one tensor, and all of one number of rows")

    def __len__(self) -> int:
        """Rows."""
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, rows: Rows) -> Conditions:
        """Those rows, in that order; some may be taken more than once."""
        return Conditions({name: tensor[rows] for name, tensor in self.tensors.items()})

    @property
    def hidden_states(self) -> torch.Tensor:
        """Hidden states of the texts, ``(B, L, D)``."""
        return self.tensors[HIDDEN_STATES]

    @property
    def nbytes(self) -> int:
        """Memory of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def expand(self, rows: int) -> Conditions:
        """One row, seen ``rows`` times, not copied."""
        return Conditions({name: tensor.expand(rows, *tensor.shape[1:]) for name, tensor in self.tensors.items()})

    def to(self, target: torch.device | torch.dtype) -> Conditions:
        """On a device, or of a dtype; a dtype is for numbers with a point, and masks stay what they are."""
        if isinstance(target, torch.dtype):
            return Conditions({n: t.to(target) if t.is_floating_point() else t for n, t in self.tensors.items()})
        return Conditions({name: tensor.to(target) for name, tensor in self.tensors.items()})

    def replace(self, **tensors: torch.Tensor) -> Conditions:
        """The same with other tensors of these names.

        Raises:
            KeyError: there is none of such a name, so no network would read it.
        """
        if unknown := tensors.keys() - self.tensors.keys():
            raise KeyError(f"conditions: {', '.join(sorted(unknown))}, expected of {', '.join(self.tensors)}")
        return Conditions({**self.tensors, **tensors})

    @staticmethod
    def join(parts: Sequence[Conditions], groups: int = 1) -> Conditions:
        """Rows of all parts, as ``join_rows`` orders them; all parts have the same names."""
        return Conditions({n: join_rows([part.tensors[n] for part in parts], groups) for n in parts[0].tensors})


def join_rows(parts: Sequence[torch.Tensor], groups: int = 1) -> torch.Tensor:
    """Rows of all parts in one tensor.

    Args:
        groups: each part's rows are of so many groups, one group's after another's and as many of each; the result is
            ordered so too. One group: part after part.
    """
    if groups == 1:
        return torch.cat(list(parts))
    return torch.cat([part.unflatten(0, (groups, -1)) for part in parts], 1).flatten(0, 1)
