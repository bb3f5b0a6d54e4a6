"""Adafactor of K experts at once: each slice moves as it would alone (``suti.optim.adafactor``).

With the paper's choices as ``suti.experts.fine_tuning.fixed_rate_adafactor`` makes them: fixed rate, no first
moment, no scaling by the parameters' size. The numbers are those of ``transformers.Adafactor`` for a slice alone.
"""

from __future__ import annotations

import torch

from suti.experts.batched.parameters import Bank, StackedParameters
from suti.optim.adafactor import clipped_update, second_moments

CHUNK = 1 << 17  # numbers worked on at a time: a step makes a dozen passes over them, which should find them in cache
CHUNK_ON_GPU = 1 << 26  # there for memory alone: a step holds a few copies of what it works on


class StackedAdafactor:
    """Optimiser of stacked parameters.

    Second moments are factored over the last two dimensions of a slice, and an update is clipped by the slice's own
    root mean square, so no expert's step depends on another's gradient.

    Args:
        learning_rate: fixed rate.
    """

    def __init__(self, parameters: StackedParameters, learning_rate: float) -> None:
        self.parameters, self.learning_rate = parameters, learning_rate
        self._moments = [second_moments(bank.master, 2) for bank in parameters.banks]

    @torch.no_grad()
    def step(self, share: float | torch.Tensor) -> None:
        """Take the gradients, move the masters, round them for the forward pass, and empty the gradients.

        Args:
            share: ``suti.optim.adafactor.share_at`` of the step; who records steps hands it in from outside, as a
                tensor.
        """
        for bank, moments in zip(self.parameters.banks, self._moments, strict=True):
            numbers = CHUNK if bank.master.device.type == "cpu" else CHUNK_ON_GPU
            size = max(1, numbers // bank.master[0].numel())
            for start in range(0, len(bank.master), size):
                part = slice(start, start + size)
                self._move(
                    Bank(bank.master[part], bank.working[part], bank.gradient[part]), [m[part] for m in moments], share
                )

    def _move(self, bank: Bank, moments: list[torch.Tensor], share: float | torch.Tensor) -> None:
        update, factor = clipped_update(bank.gradient.float(), moments, share, 2)
        bank.master.addcmul_(update, factor, value=-self.learning_rate)
        bank.refresh()
        bank.gradient.zero_()
