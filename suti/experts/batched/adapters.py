"""LoRA (arXiv 2106.09685) of K experts on one frozen UNet: rows are expert-major, each sees its own adapter alone.

A batch of ``K * b`` rows, expert k's in places ``k * b .. k * b + b - 1``, goes through the base once. At every linear
and convolution layer expert k's rows also take ``B_k A_k``. All other layers treat rows apart, so nothing of the UNet
is rewritten, and what is installed comes off without a trace.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from suti.experts.batched.parameters import StackedParameters
from suti.experts.batched.weights import PRODUCTS, Product, frozen_product
from suti.experts.fine_tuning import trained_layers

A, B = ".lora_A.weight", ".lora_B.weight"  # as peft names them


@contextmanager
def stacked_adapters(
    unet: torch.nn.Module, generators: Sequence[torch.Generator], rank: int, frozen: tuple[str, ...], dtype: torch.dtype
) -> Iterator[StackedParameters]:
    """Give a frozen UNet one adapter for each generator; taken off on leaving, bit for bit.

    Args:
        unet: any module; its linear and convolution layers are adapted.
        generators: one CPU generator an expert. The A factors are drawn from it, in the order of the layers, as
            ``suti.experts.fine_tuning`` draws those of a lone adapter; B starts at 0. The scale is 1 (alpha = rank).
        frozen: names of modules (and all below them) that get no adapter.
        dtype: of the forward pass. The base's weights are rounded to it once, not at every step as autocast would.

    Yields:
        Factors ``NAME.lora_A.weight`` ``(K, r, in[, kh, kw])`` and ``NAME.lora_B.weight`` ``(K, out, r[, 1, 1])``.

    Raises:
        ValueError: a convolution with padding other than a number of zeros, or wider than its kernel reaches.
    """
    adapted = trained_layers(unet, frozen)
    shapes = {}
    for name, layer in adapted.items():
        a, b = _shapes(layer, rank, name)
        shapes[name + A], shapes[name + B] = (a, dtype), (b, dtype)
    device = next(unet.parameters()).device
    parameters = StackedParameters(shapes, len(generators), device)
    for name, start in _starts({name: shapes[name + A][0] for name in adapted}, generators).items():
        parameters[name + A].copy_(start)
    parameters.refresh()
    changed = [m for m in unet.modules() if isinstance(m, PRODUCTS)]
    names = {id(layer): name for name, layer in adapted.items()}
    try:
        for layer in changed:
            own = names.get(id(layer))
            factors = None if own is None else (parameters.leaves[own + A], parameters.leaves[own + B])
            vars(layer)["forward"] = _forward(layer, factors, dtype)
        yield parameters
    finally:
        for layer in changed:
            layer.__dict__.pop("forward", None)


def _starts(shapes: Mapping[str, torch.Size], generators: Sequence[torch.Generator]) -> dict[str, torch.Tensor]:
    """Kaiming-uniform A factors ``(K, *shape)``, drawn layer by layer from each expert's generator, on the CPU."""
    starts = {name: torch.empty((len(generators), *shape)) for name, shape in shapes.items()}
    for expert, generator in enumerate(generators):
        for start in starts.values():
            start[expert].uniform_(generator=generator)
    for start in starts.values():
        start.mul_(2).sub_(1).mul_(1 / math.sqrt(start[0, 0].numel()))
    return starts


def _shapes(layer: Product, rank: int, name: str) -> tuple[torch.Size, torch.Size]:
    if isinstance(layer, torch.nn.Linear):
        return torch.Size((rank, layer.in_features)), torch.Size((layer.out_features, rank))
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise ValueError(f"{name}: padding {layer.padding!r} ({layer.padding_mode}), expected a number of zeros")
    reach = [step * (taps - 1) for step, taps in zip(layer.dilation, layer.kernel_size, strict=True)]
    if any(edge > far for edge, far in zip(layer.padding, reach, strict=True)):
        raise ValueError(f"{name}: padding {layer.padding}, expected at most the kernel's reach, {reach}")
    if rank % layer.groups:
        raise ValueError(f"lora_rank: {rank}, expected a multiple of the {layer.groups} groups of {name}")
    return (
        torch.Size((rank, layer.in_channels, *layer.kernel_size)),
        torch.Size((layer.out_channels, rank // layer.groups, 1, 1)),
    )


def _forward(
    layer: Product, factors: tuple[torch.Tensor, torch.Tensor] | None, dtype: torch.dtype
) -> Callable[[torch.Tensor], torch.Tensor]:
    if factors is None:
        return frozen_product(layer, dtype)
    weight = layer.weight.detach().to(dtype)
    bias = None if layer.bias is None else layer.bias.detach().to(dtype)
    if isinstance(layer, torch.nn.Linear):
        return lambda x: _Linear.apply(x.to(dtype).contiguous(), weight, bias, *factors)
    weight = weight.contiguous(memory_format=torch.channels_last)
    a, b = factors
    gather = _gather(a.shape[1], cast(tuple[int, int], layer.kernel_size), weight)
    geometry = (layer.stride, layer.padding, layer.dilation)

    def forward(x: torch.Tensor) -> torch.Tensor:
        x = x.to(dtype).contiguous(memory_format=torch.channels_last)
        return _Convolution.apply(x, weight, bias, a, _dense(b, layer.groups), gather, geometry, layer.groups)

    return forward


def _dense(b: torch.Tensor, groups: int) -> torch.Tensor:
    """``(K, out, r / groups, 1, 1)`` to ``(K, out, r)``: a grouped B is one with zeros outside its blocks."""
    b = b.flatten(2)
    if groups == 1:
        return b
    experts, out, rank = b.shape
    blocks = b.view(experts, groups, out // groups, 1, rank)
    mask = torch.eye(groups, dtype=b.dtype, device=b.device).view(1, groups, 1, groups, 1)
    return (blocks * mask).reshape(experts, out, groups * rank)


def _gather(rank: int, kernel: tuple[int, int], like: torch.Tensor) -> torch.Tensor:
    """0/1 kernel ``(r, kh kw r, kh, kw)`` that adds up the taps of A, each from its own neighbour."""
    taps = torch.eye(kernel[0] * kernel[1]).view(-1, *kernel)
    kernel_of = torch.einsum("tij,rs->rtsij", taps, torch.eye(rank)).reshape(rank, -1, *kernel)
    return kernel_of.to(like).contiguous(memory_format=torch.channels_last)


class _Linear(torch.autograd.Function):
    """``x W^T + bias + x A_k^T B_k^T``. One node of the graph, so that the sums happen in place."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, a: torch.Tensor, b: torch.Tensor
    ) -> torch.Tensor:
        out = F.linear(x, weight, bias)
        reduced = torch.bmm(x.view(len(a), -1, x.shape[-1]), a.transpose(1, 2))
        out.view(len(a), -1, out.shape[-1]).baddbmm_(reduced, b.transpose(1, 2))
        ctx.save_for_backward(x, weight, a, b, reduced)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, a, b, reduced = ctx.saved_tensors
        grad = grad.contiguous()
        rows = grad.view(len(a), -1, grad.shape[-1])
        grad_reduced = torch.bmm(rows, b)
        grad_b = torch.bmm(rows.transpose(1, 2), reduced)
        grad_a = torch.bmm(grad_reduced.transpose(1, 2), x.view(len(a), -1, x.shape[-1]))
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ weight
            grad_x.view(len(a), -1, x.shape[-1]).baddbmm_(grad_reduced, a)
        return grad_x, None, None, grad_a, grad_b


class _Convolution(torch.autograd.Function):
    """A frozen convolution plus each expert's own: A with the layer's kernel and stride, then B, 1 x 1.

    On a CPU A is a convolution of K groups, for which the rows are laid side by side. On a GPU it is applied tap by
    tap: one matrix product gives ``kh kw r`` numbers a pixel, and a convolution with a 0/1 kernel, shared by all
    experts, adds each tap from its neighbour. Unfolding the input instead would move ``kh kw C`` numbers a pixel, and
    C is several times r. Backward there is nothing to add: each tap's gradient is a number of its neighbour, moved.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, a: torch.Tensor, b: torch.Tensor,
        gather: torch.Tensor, geometry: tuple[Any, Any, Any], groups: int,
    ) -> torch.Tensor:  # fmt: skip
        out = F.conv2d(x, weight, bias, *geometry, groups).contiguous(memory_format=torch.channels_last)
        if _is_trivial(a, geometry):
            reduced = torch.bmm(_rows(x, len(a)), _taps(a).transpose(1, 2))
        elif x.device.type == "cpu":
            reduced = _side_by_side(x, a, geometry)
        else:
            taps = torch.bmm(_rows(x, len(a)), _taps(a).transpose(1, 2))
            image = taps.view(len(x), *x.shape[2:], -1).permute(0, 3, 1, 2)
            reduced = _rows(F.conv2d(image, gather, None, *geometry), len(a))
        _rows(out, len(a)).baddbmm_(reduced, b.transpose(1, 2))
        ctx.save_for_backward(x, weight, a, b, reduced)
        ctx.geometry, ctx.groups = geometry, groups
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, a, b, reduced = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        rows = _rows(grad, len(a))
        grad_b = torch.bmm(rows.transpose(1, 2), reduced)
        grad_taps = torch.bmm(rows, b)
        if not _is_trivial(a, ctx.geometry):
            grad_taps = _scattered(grad_taps.view(len(grad), *grad.shape[2:], -1), x, a, ctx.geometry)
            a = a.flip(3, 4)  # ``_scattered`` gives the taps of a kernel from its last to its first
        grad_a = torch.bmm(grad_taps.transpose(1, 2), _rows(x, len(a)))
        grad_a = grad_a.view(len(a), *a.shape[3:], a.shape[1], a.shape[2]).permute(0, 3, 4, 1, 2)
        if not _is_trivial(a, ctx.geometry):
            grad_a = grad_a.flip(3, 4)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = _input_gradient(grad, weight, x, ctx.geometry, ctx.groups)
            _rows(grad_x, len(a)).baddbmm_(grad_taps, _taps(a))
        return grad_x, None, None, grad_a, grad_b, None, None, None


def _rows(image: torch.Tensor, experts: int) -> torch.Tensor:
    """``(K b, C, H, W)``, channels last, as ``(K, b H W, C)``, the same memory."""
    if not image.is_contiguous(memory_format=torch.channels_last):
        image = image.contiguous(memory_format=torch.channels_last)
    return image.permute(0, 2, 3, 1).view(experts, -1, image.shape[1])


def _taps(a: torch.Tensor) -> torch.Tensor:
    """``(K, r, C, kh, kw)`` as ``(K, kh kw r, C)``; a bank keeps kernels in this order, so nothing moves."""
    return a.permute(0, 3, 4, 1, 2).reshape(len(a), -1, a.shape[2])


def _side_by_side(x: torch.Tensor, a: torch.Tensor, geometry: tuple[Any, Any, Any]) -> torch.Tensor:
    """A's outputs ``(K, b H' W', r)`` of rows ``(K b, C, H, W)``, by one convolution of K groups."""
    experts, rank = a.shape[:2]
    beside = _rows(x, experts).view(experts, -1, *x.shape[2:], x.shape[1]).permute(1, 2, 3, 0, 4)
    kernels = a.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    reduced = F.conv2d(beside.flatten(3).permute(0, 3, 1, 2), kernels, None, *geometry, experts)
    return _rows(reduced, 1).view(-1, experts, rank).transpose(0, 1)


def _scattered(grad: torch.Tensor, x: torch.Tensor, a: torch.Tensor, geometry: tuple[Any, Any, Any]) -> torch.Tensor:
    """What each tap of a kernel gave to which pixel of ``x``: gradients moved to the input's places, not summed.

    Args:
        grad: ``(K b, H', W', r)``, of the reduced outputs.

    Returns:
        ``(K, b H W, kh kw r)``, a kernel's last tap first: then a pixel's taps lie side by side in ``grad``.
    """
    (height, width), kernel, (stride, padding, dilation) = x.shape[2:], a.shape[3:], geometry
    reach = [step * (taps - 1) for step, taps in zip(dilation, kernel, strict=True)]
    first = [far - edge for far, edge in zip(reach, padding, strict=True)]  # where output 0 comes to lie
    wide = grad.new_zeros((len(x), height + reach[0], width + reach[1], grad.shape[-1]))
    last = [at + step * (size - 1) + 1 for at, step, size in zip(first, stride, grad.shape[1:3], strict=True)]
    wide[:, first[0] : last[0] : stride[0], first[1] : last[1] : stride[1]] = grad
    rows, down, right, _ = wide.stride()
    windows = wide.as_strided(
        (len(x), height, width, *kernel, grad.shape[-1]),
        (rows, down, right, dilation[0] * down, dilation[1] * right, 1),
    )  # fmt: skip
    return windows.reshape(len(a), -1, a[0, :, 0].numel())


def _is_trivial(a: torch.Tensor, geometry: tuple[Any, Any, Any]) -> bool:
    stride, padding, _ = geometry
    return a.shape[3:] == (1, 1) and tuple(stride) == (1, 1) and tuple(padding) == (0, 0)


def _input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, x: torch.Tensor, geometry: tuple[Any, Any, Any], groups: int
) -> torch.Tensor:
    """Gradient of a convolution's input, channels last; the frozen weight gets none."""
    grad_x = torch.ops.aten.convolution_backward(
        grad, torch.empty_like(x), weight, None, *geometry, False, [0, 0], groups, [True, False, False]
    )[0]
    return grad_x.contiguous(memory_format=torch.channels_last)
