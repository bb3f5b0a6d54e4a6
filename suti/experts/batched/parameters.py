"""Trained tensors of K experts, stacked: masters for the optimiser, leaves for autograd.

A base has hundreds of small trained tensors of a dozen shapes. Those of one shape lie in one ``Bank``, so that an
optimiser step is a few operations on a bank instead of a dozen on each tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

TAPS_FIRST = (0, 1, 4, 5, 2, 3)  # memory order of banks of kernels: (P, K, kh, kw, out, in)
BACK = (0, 1, 4, 5, 2, 3)  # its inverse (it swaps two pairs, so it is itself)


@dataclass(frozen=True)
class Bank:
    """P tensors of one shape, of each of K experts.

    Attributes:
        master: ``(P, K, *shape)`` float32, what the optimiser changes.
        working: the same in the dtype of the forward pass; ``master`` itself if that is float32.
        gradient: as ``working``; autograd adds to it.
    """

    master: torch.Tensor
    working: torch.Tensor
    gradient: torch.Tensor

    def refresh(self) -> None:
        """Round the masters for the next forward pass."""
        if self.working is not self.master:
            self.working.copy_(self.master)


class StackedParameters:
    """Named tensors ``(K, *shape)`` that K experts train side by side.

    Args:
        shapes: name -> (shape of one expert's tensor, dtype of the forward pass).
        experts: K.
    """

    def __init__(
        self, shapes: Mapping[str, tuple[torch.Size, torch.dtype]], experts: int, device: torch.device
    ) -> None:
        self.experts = experts
        self.banks: list[Bank] = []
        self.leaves: dict[str, torch.Tensor] = {}
        self._masters: dict[str, torch.Tensor] = {}
        members: dict[tuple[torch.Size, torch.dtype], list[str]] = {}
        for name, kind in shapes.items():
            members.setdefault(kind, []).append(name)
        for (shape, dtype), names in members.items():
            full = (len(names), experts, *shape)
            master = _zeros(full, torch.float32, device)
            bank = Bank(
                master, master if dtype == torch.float32 else _zeros(full, dtype, device), _zeros(full, dtype, device)
            )
            self.banks.append(bank)
            for number, name in enumerate(names):
                leaf = bank.working[number].detach().requires_grad_(True)
                leaf.grad = bank.gradient[number]
                self.leaves[name] = leaf
                self._masters[name] = master[number]

    def __getitem__(self, name: str) -> torch.Tensor:
        """Masters ``(K, *shape)`` of a name; after writing to them, ``refresh``."""
        return self._masters[name]

    def refresh(self) -> None:
        """Round all masters for the next forward pass."""
        for bank in self.banks:
            bank.refresh()

    def of_expert(self, expert: int) -> dict[str, torch.Tensor]:
        """Copies of one expert's tensors, float32, in the order in which they were named."""
        return {name: self._masters[name][expert].clone(memory_format=torch.contiguous_format) for name in self.leaves}

    def finite(self) -> torch.Tensor:
        """``(K,)`` booleans: all of an expert's numbers are finite."""
        sums = [bank.master.sum(dim=(0, *range(2, bank.master.ndim))) for bank in self.banks]
        return torch.stack(sums).isfinite().all(0)


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    if len(shape) != 6:
        return torch.zeros(shape, dtype=dtype, device=device)
    return torch.zeros([shape[i] for i in TAPS_FIRST], dtype=dtype, device=device).permute(BACK)
