"""Adapters merged into the base's weights for drawing: an expert's ``W + B_k A_k`` once, not at every pass.

Training needs the factors apart. Drawing calls the network dozens of times with weights that stay, and the factors'
own products take a third of each call on a CPU. There K small convolutions cost as much as one large one. A GPU would
have K times as many kernels to start, so it keeps the factors apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from suti.experts.batched.adapters import A, B
from suti.experts.batched.parameters import StackedParameters
from suti.experts.batched.weights import Product, own_product

MOST = 1 << 24  # weights of a network that is merged: each expert then holds a copy of all


@contextmanager
def merged_adapters(unet: torch.nn.Module, parameters: StackedParameters) -> Iterator[None]:
    """Inside, each expert's rows go through weights of its own; without gradients. As before on leaving.

    Changes nothing for full fine-tuning, on a GPU, and for networks of more than ``MOST`` weights. What is computed is
    the same up to rounding: the sum is rounded to the dtype of the forward pass, and not each factor.

    Args:
        unet: inside ``suti.experts.batched.adapters.stacked_adapters``.
        parameters: what that yielded.
    """
    small = sum(p.numel() for p in unet.parameters()) <= MOST
    on_cpu = next(unet.parameters()).device.type == "cpu"
    layers = {
        name: layer
        for name, layer in unet.named_modules()
        if small and on_cpu and name + A in parameters.leaves and getattr(layer, "groups", 1) == 1
    }
    before = {name: vars(layer)["forward"] for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            weight, bias = _merged(layer, parameters, name)
            vars(layer)["forward"] = own_product(layer, weight, bias, parameters.experts)
        yield
    finally:
        for name, layer in layers.items():
            vars(layer)["forward"] = before[name]


@torch.no_grad()
def _merged(layer: Product, parameters: StackedParameters, name: str) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weights ``(K, *shape)`` and bias ``(K, out)`` of a layer, in the dtype of the forward pass."""
    a, b = parameters[name + A], parameters[name + B].flatten(2)
    change = torch.bmm(b, a.flatten(2)).view(len(a), *layer.weight.shape)
    weight = (change + layer.weight).to(parameters.leaves[name + A].dtype)
    if weight.ndim == 5:  # channels last, each of the K
        weight = weight.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    bias = None if layer.bias is None else layer.bias.detach().to(weight.dtype).expand(len(a), -1)
    return weight, bias
