"""Muon for convolutions and linear layers: momentum whose matrix is orthogonalised before it is applied.

``torch.optim.Muon`` takes two-dimensional parameters only; a UNet is mostly convolutions, whose filters are
matrices ``(out, in * kh * kw)``. Update of K. Jordan, "Muon: an optimizer for hidden layers" (2024), scaled to the
root mean square of an AdamW update (J. Liu et al., arXiv 2502.16982, section 2.2), so that one rate serves both.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

# Quintic Newton-Schulz iteration: drives all singular values towards 1 within five steps.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrix: torch.Tensor, iterations: int = 5) -> torch.Tensor:
    """Nearest (semi-)orthogonal matrix, roughly: ``(m, n)`` to ``(m, n)`` with singular values in about [0.7, 1.2]."""
    x = matrix.bfloat16()
    x = x / (x.norm() + 1e-7)
    if tall := x.shape[0] > x.shape[1]:
        x = x.T
    a, b, c = COEFFICIENTS
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for parameters of two or more dimensions; use AdamW for the rest (biases, norms, embeddings)."""

    def __init__(
        self, params: Iterable[torch.nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Apply one update to every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                direction = parameter.grad.lerp(state["momentum"], group["momentum"])  # Nesterov
                matrix = orthogonalize(direction.flatten(1))
                scale = 0.2 * max(matrix.shape) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(matrix.view(direction.shape), alpha=-group["lr"] * scale)
