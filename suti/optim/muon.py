"""Muon for convolutions and linear layers: momentum whose matrix is orthogonalised before it is applied.

``torch.optim.Muon`` takes two-dimensional parameters only; a UNet is mostly convolutions, whose filters are
matrices ``(out, in * kh * kw)``. Update of K. Jordan, "Muon: an optimizer for hidden layers" (2024), scaled to the
root mean square of an AdamW update (J. Liu et al., arXiv 2502.16982, section 2.2), so that one rate serves both.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import torch

# Quintic Newton-Schulz iteration: drives all singular values towards 1 within five steps.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@cache
def _working_type(device: str) -> torch.dtype:
    """bf16, which the iteration needs no more than, or float32 on a CPU that would only emulate it."""
    native = device != "cpu" or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def orthogonalize(matrix: torch.Tensor, iterations: int = 5) -> torch.Tensor:
    """Nearest (semi-)orthogonal matrix, roughly: singular values in about [0.7, 1.2].

    Args:
        matrix: ``(m, n)``, or several of one shape, ``(k, m, n)``.

    Returns:
        As ``matrix``.
    """
    x = matrix.to(_working_type(matrix.device.type))
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    if tall := x.shape[-2] > x.shape[-1]:
        x = x.mT
    a, b, c = COEFFICIENTS
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for parameters of two or more dimensions; use AdamW for the rest (biases, norms, embeddings).

    Matrices of one shape are orthogonalised together. The rate may be a tensor, so that a CUDA graph can hold a step.
    """

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float | torch.Tensor,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Apply one update to every parameter that has a gradient."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            for parameter in parameters:
                if "momentum" not in self.state[parameter]:
                    self.state[parameter]["momentum"] = torch.zeros_like(parameter)
            gradients = [p.grad for p in parameters]
            momenta = [self.state[p]["momentum"] for p in parameters]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            directions = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            shapes: dict[torch.Size, list[int]] = {}
            for index, direction in enumerate(directions):
                shapes.setdefault(direction.flatten(1).shape, []).append(index)
            for shape, rows in shapes.items():
                matrices = orthogonalize(torch.stack([directions[i].flatten(1) for i in rows]))
                matrices = matrices * (-group["lr"] * 0.2 * max(shape) ** 0.5)
                torch._foreach_add_(
                    [parameters[i] for i in rows],
                    [matrix.view(directions[i].shape) for i, matrix in zip(rows, matrices, strict=True)],
                )
