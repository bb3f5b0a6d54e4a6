"""Adafactor (arXiv 1804.04235) as the paper uses it, fixed rate, on many tensors of one shape at a time.

The reference, ``transformers.Adafactor``, takes two dozen small operations for every tensor. A UNet has hundreds of
tensors of a few dozen shapes, so a GPU spends most of such a step waiting to be told what to do. Here tensors of one
shape move together, each by the same numbers as alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch

DECAY, EPSILON, CLIP = -0.8, 1e-30, 1.0  # transformers' defaults
FEW = 7  # rows or columns of a convolution's kernel
BANK = 1 << 20  # numbers moved together: a GPU is busy with them, and copies of them are small


def share_at(step: int) -> float:
    """Share of a step's gradient in the second moments, steps counted from 1 (section 7.2 of arXiv 1804.04235)."""
    return math.pow(step, DECAY)


def second_moments(like: torch.Tensor, lead: int) -> list[torch.Tensor]:
    """Zeros for the second moments of slices ``(*lead dims, *shape)``: rows and columns, or all of one dimension."""
    if like.ndim < lead + 2:
        return [torch.zeros_like(like)]
    return [torch.zeros_like(like[..., 0]), torch.zeros_like(like[..., 0, :])]


def clipped_update(
    gradient: torch.Tensor, moments: Sequence[torch.Tensor], share: float | torch.Tensor, lead: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a step moves slices by at rate 1, and the factor that clips each slice by its own root mean square.

    Args:
        gradient: ``(*lead dims, *shape)`` float32; every index of the first ``lead`` dimensions is a slice of its own.
        moments: of ``second_moments``, moved in place. They are factored over a slice's last two dimensions.
        share: of this gradient in the moments, ``share_at`` of the step; a scalar tensor where steps are recorded.
        lead: number of leading dimensions.

    Returns:
        The update, as the gradient, and its factor, which broadcasts over it.
    """
    square = gradient * gradient
    if len(moments) == 2:
        row, column = moments
        row.lerp_(_mean(square, -1).add_(EPSILON), share)
        column.lerp_(_mean(square, -2).add_(EPSILON), share)
        update = gradient * (row / row.mean(-1, keepdim=True)).rsqrt_().unsqueeze(-1)
        update.mul_(column.rsqrt().unsqueeze(-2))
    else:
        (moment,) = moments
        moment.lerp_(square.add_(EPSILON), share)
        update = gradient * moment.rsqrt()
    inner = tuple(range(lead, update.ndim))
    root_mean_square = torch.linalg.vector_norm(update, dim=inner, keepdim=True) / math.prod(update.shape[lead:]) ** 0.5
    return update, (root_mean_square / CLIP).clamp_(min=1.0).reciprocal_()


def _mean(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Mean over a dimension, a tensor of its own. A CPU adds a kernel's few columns faster than it reduces them."""
    if x.device.type != "cpu" or not 1 < x.shape[dim] <= FEW:
        return x.mean(dim)
    first, second, *others = x.unbind(dim)
    total = first + second
    for other in others:
        total += other
    return total.div_(x.shape[dim])


class BankedAdafactor(torch.optim.Optimizer):
    """``transformers.Adafactor`` at a fixed rate, without scaling by the parameters' size: the same numbers, faster.

    A parameter without a gradient counts as one whose gradient is zero.

    Args:
        params: parameters or groups of them, each group with a rate ``lr`` if it has one of its own.
        lr: fixed rate.
        momentum: decay of the first moment; 0 keeps none.
        bank: numbers moved together; no result depends on it.
    """

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.0,
        bank: int = BANK,
    ) -> None:
        self._bank = bank
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move the parameters by their gradients."""
        for group in self.param_groups:
            for bank in _banks(group["params"], self._bank):
                if any(parameter.grad is not None for parameter in bank):
                    self._move(bank, group["lr"], group["momentum"])

    def _move(self, bank: list[torch.nn.Parameter], rate: float, momentum: float) -> None:
        gradient = torch.stack([torch.zeros_like(p) if p.grad is None else p.grad for p in bank]).float()
        state = self.state[bank[0]]  # one for the bank; a parameter's bank is the same in every run
        if not state:
            state.update(step=0, **dict(zip(("row", "column"), second_moments(gradient, 1), strict=False)))
            if momentum:
                state["average"] = torch.zeros_like(gradient)
        state["step"] += 1
        moments = [state[name] for name in ("row", "column") if name in state]
        update, factor = clipped_update(gradient, moments, share_at(state["step"]), 1)
        update.mul_(factor).mul_(rate)
        if momentum:
            update = state["average"].mul_(momentum).add_(update, alpha=1 - momentum)
        members: list[torch.Tensor] = [*bank]
        torch._foreach_sub_(members, list(update.to(bank[0].dtype).unbind()))


def _banks(parameters: Sequence[torch.nn.Parameter], bank: int) -> list[list[torch.nn.Parameter]]:
    """Parameters of one shape, dtype and device together, in their order, up to ``bank`` numbers at a time."""
    members: dict[Any, list[torch.nn.Parameter]] = {}
    for parameter in parameters:
        members.setdefault((parameter.shape, parameter.dtype, parameter.device), []).append(parameter)
    banks = []
    for alike in members.values():
        size = max(1, bank // max(1, alike[0].numel()))
        banks += [alike[first : first + size] for first in range(0, len(alike), size)]
    return banks
