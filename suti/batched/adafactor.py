"""Adafactor (arXiv 1804.04235) of K experts at once: each slice moves as it would alone.

With the paper's choices as ``suti.fine_tuning.fixed_rate_adafactor`` makes them: fixed rate, no first moment, no
scaling by the parameters' size. The numbers are those of ``transformers.Adafactor`` for a slice alone.
"""

from __future__ import annotations

import math

import torch

from suti.batched.parameters import Bank, StackedParameters

DECAY, EPSILON, CLIP = -0.8, 1e-30, 1.0  # transformers' defaults
CHUNK = 1 << 17  # numbers worked on at a time: a step makes a dozen passes over them, which should find them in cache


class StackedAdafactor:
    """Optimiser of stacked parameters.

    Second moments are factored over the last two dimensions of a slice, and an update is clipped by the slice's own
    root mean square, so no expert's step depends on another's gradient.

    Args:
        learning_rate: fixed rate.
    """

    def __init__(self, parameters: StackedParameters, learning_rate: float) -> None:
        self.parameters, self.learning_rate, self.steps = parameters, learning_rate, 0
        self._moments = [_moments(bank.master) for bank in parameters.banks]

    @torch.no_grad()
    def step(self) -> None:
        """Take the gradients, move the masters, round them for the forward pass, and empty the gradients."""
        self.steps += 1
        decay = 1.0 - math.pow(self.steps, DECAY)
        for bank, moments in zip(self.parameters.banks, self._moments, strict=True):
            size = max(1, CHUNK // bank.master[0].numel()) if bank.master.device.type == "cpu" else len(bank.master)
            for start in range(0, len(bank.master), size):
                part = slice(start, start + size)
                self._move(
                    Bank(bank.master[part], bank.working[part], bank.gradient[part]), [m[part] for m in moments], decay
                )

    def _move(self, bank: Bank, moments: list[torch.Tensor], decay: float) -> None:
        gradient = bank.gradient.float()
        square = gradient * gradient
        if len(moments) == 2:
            row, column = moments
            row.mul_(decay).add_(square.mean(-1).add_(EPSILON), alpha=1 - decay)
            column.mul_(decay).add_(square.mean(-2).add_(EPSILON), alpha=1 - decay)
            update = gradient * (row / row.mean(-1, keepdim=True)).rsqrt_().unsqueeze(-1)
            update.mul_(column.rsqrt().unsqueeze(-2))
        else:
            (moment,) = moments
            moment.mul_(decay).add_(square.add_(EPSILON), alpha=1 - decay)
            update = gradient * moment.rsqrt()
        inner = tuple(range(2, update.ndim))
        root_mean_square = (
            torch.linalg.vector_norm(update, dim=inner, keepdim=True) / math.prod(update.shape[2:]) ** 0.5
        )
        bank.master.addcmul_(update, (root_mean_square / CLIP).clamp_(min=1.0).reciprocal_(), value=-self.learning_rate)
        if bank.working.dtype != torch.float32:
            bank.working.copy_(bank.master)
        bank.gradient.zero_()


def _moments(master: torch.Tensor) -> list[torch.Tensor]:
    """Zeros for the moments of a bank ``(P, K, *shape)``: rows and columns, or all of a slice of one dimension."""
    if master.ndim < 4:
        return [torch.zeros_like(master)]
    return [torch.zeros_like(master[..., 0]), torch.zeros_like(master[..., 0, :])]
