"""Full fine-tuning of K experts on one UNet: every trained tensor stacked, rows expert-major."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F

from suti.experts.batched.parameters import StackedParameters
from suti.experts.fine_tuning import below

PRODUCTS = (torch.nn.Linear, torch.nn.Conv2d)
NORMS = (torch.nn.GroupNorm, torch.nn.LayerNorm)
Product = torch.nn.Linear | torch.nn.Conv2d
Norm = torch.nn.GroupNorm | torch.nn.LayerNorm


@contextmanager
def stacked_weights(
    unet: torch.nn.Module, experts: int, frozen: tuple[str, ...], dtype: torch.dtype
) -> Iterator[StackedParameters]:
    """Give K experts their own copy of all weights that train; the UNet's own stay as they are.

    Args:
        experts: K.
        frozen: names of modules (and all below them) that stay as they are, for all experts.
        dtype: of the forward pass's products. Norms keep float32 weights, as under autocast.

    Yields:
        Tensors ``(K, *shape)`` under their names in the UNet.

    Raises:
        ValueError: K > 1, and a trained tensor belongs to a layer that cannot be stacked (see ``unstackable``).
    """
    strange = unstackable(unet, frozen)
    if strange and experts > 1:
        raise ValueError(f"experts_at_once: {experts}, expected 1, as this UNet trains {strange[0]} of no known layer")
    trained = {n: p for n, p in unet.named_parameters() if not below(n, frozen)}
    products = {
        f"{name}.{leaf}"
        for name, module in unet.named_modules() if isinstance(module, PRODUCTS)
        for leaf, _ in module.named_parameters()
    }  # fmt: skip
    shapes = {n: (p.shape, dtype if n in products else torch.float32) for n, p in trained.items()}
    parameters = StackedParameters(shapes, experts, next(unet.parameters()).device)
    for name, parameter in trained.items():
        parameters[name].copy_(parameter.detach().expand_as(parameters[name]))
    parameters.refresh()
    changed = {n: m for n, m in unet.named_modules() if isinstance(m, PRODUCTS + NORMS)}
    try:
        for name, module in changed.items():
            weight, bias = (parameters.leaves.get(f"{name}.{leaf}") for leaf in ("weight", "bias"))
            if weight is None and isinstance(module, PRODUCTS):
                vars(module)["forward"] = frozen_product(module, dtype)
            elif weight is not None:
                vars(module)["forward"] = own_product(module, weight, bias, experts)
        for name in strange:
            _swap(unet, name, _lone(parameters.leaves[name]))
        yield parameters
    finally:
        for module in changed.values():
            module.__dict__.pop("forward", None)
        for name in strange:
            _swap(unet, name, trained[name])


def unstackable(unet: torch.nn.Module, frozen: tuple[str, ...]) -> list[str]:
    """Trained tensors that belong to a layer other than linear, convolution, group or layer norm."""
    return [
        f"{name}.{leaf}".removeprefix(".")
        for name, module in unet.named_modules() if not isinstance(module, PRODUCTS + NORMS)
        for leaf, _ in module.named_parameters(recurse=False) if not below(f"{name}.{leaf}", frozen)
    ]  # fmt: skip


def frozen_product(layer: Product, dtype: torch.dtype) -> Callable[[torch.Tensor], torch.Tensor]:
    """Forward of a layer that does not train, its weights rounded once and not at every step as autocast would."""
    weight = layer.weight.detach().to(dtype)
    bias = None if layer.bias is None else layer.bias.detach().to(dtype)
    if isinstance(layer, torch.nn.Linear):
        return lambda x: F.linear(x.to(dtype), weight, bias)
    weight = weight.contiguous(memory_format=torch.channels_last)
    return lambda x: layer._conv_forward(x.to(dtype), weight, bias)


def own_product(
    layer: Product | Norm, weight: torch.Tensor, bias: torch.Tensor | None, experts: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Forward of a layer whose rows, expert-major, each see their expert's weight ``(K, *shape)`` and bias."""
    if isinstance(layer, torch.nn.Linear):

        def linear(x: torch.Tensor) -> torch.Tensor:
            rows = x.to(weight.dtype).reshape(experts, -1, x.shape[-1])
            across = weight.transpose(1, 2)
            out = torch.bmm(rows, across) if bias is None else torch.baddbmm(bias.unsqueeze(1), rows, across)
            return out.view(*x.shape[:-1], out.shape[-1])

        return linear

    def one(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None) -> torch.Tensor:
        if isinstance(layer, torch.nn.Conv2d):
            return layer._conv_forward(x.to(w.dtype), w, b)
        if isinstance(layer, torch.nn.GroupNorm):
            return F.group_norm(x.contiguous(), layer.num_groups, w, b, layer.eps)
        return F.layer_norm(x, layer.normalized_shape, w, b, layer.eps)

    def each(x: torch.Tensor) -> torch.Tensor:
        biases = [None] * experts if bias is None else bias.unbind()
        return torch.cat([one(*parts) for parts in zip(x.chunk(experts), weight.unbind(), biases, strict=True)])

    return each


def _lone(leaf: torch.Tensor) -> torch.nn.Parameter:
    """The one slice of a stacked tensor as a parameter of a module; memory and gradient are the stack's."""
    parameter = torch.nn.Parameter(leaf.detach()[0])
    assert leaf.grad is not None, "leaves of ``StackedParameters`` have their gradients from the start"
    parameter.grad = leaf.grad[0]
    return parameter


def _swap(unet: torch.nn.Module, name: str, parameter: torch.nn.Parameter) -> None:
    owner, _, leaf = name.rpartition(".")
    unet.get_submodule(owner)._parameters[leaf] = parameter
