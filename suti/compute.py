"""Device, threads and precision of a process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch

from suti.config.schema import Compute
from suti.devices import pick_device

Network = TypeVar("Network", bound=torch.nn.Module)


def prepare(compute: Compute) -> torch.device:
    """Set the number of threads, ask for deterministic kernels, and return the device to use.

    Raises:
        RuntimeError: the configuration asks for a GPU that is not there.
    """
    torch.set_num_threads(compute.threads)
    device = pick_device(compute)
    if device.type == "cuda":
        # A resumed training ends with the weights of an undisturbed one only if equal inputs give equal bits.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Costs time, and nothing here reads such memory. (torch makes this attribute as it runs.)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False
    return device


def to_device(network: Network, device: torch.device | str, dtype: torch.dtype | None = None) -> Network:
    """``network.to``, in place. That of transformers and diffusers hides its types behind a wrapper."""
    module: torch.nn.Module = network
    module.to(device, dtype)
    return network


def in_layout(network: Network, memory_format: torch.memory_format) -> Network:
    """``network.to(memory_format=...)``, in place, with its types as ``to_device``."""
    module: torch.nn.Module = network
    module.to(memory_format=memory_format)
    return network


def precision(compute: Compute, device: torch.device) -> str:
    """'bf16' or 'fp32': what ``auto`` means on this hardware."""
    if compute.precision != "auto":
        return compute.precision
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return "bf16" if native else "fp32"


def autocast(compute: Compute, device: torch.device) -> AbstractContextManager[None]:
    """Autocast to the configured precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision(compute, device) == "bf16")


@contextmanager
def deterministic_backward(device: torch.device) -> Iterator[None]:
    """Backward passes inside give equal bits for equal inputs on a GPU too, that of attention included.

    ``prepare`` asks for such kernels everywhere but lets operations without one pass. Attention has both kinds, and
    takes the faster one unless the other is insisted upon.

    Raises:
        RuntimeError: from inside, an operation has no deterministic gradient; it is named.
    """
    if device.type != "cuda":
        yield
        return
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(True, warn_only=True)


@contextmanager
def compiled(network: torch.nn.Module, compute: Compute) -> Iterator[None]:
    """Calls of a network go through ``torch.compile``, if the configuration asks for it; as before on leaving.

    Shapes are static: every new shape of the inputs, or of the trained tensors inside, compiles anew.

    Raises:
        RuntimeError: there is no C++ compiler.
    """
    if not compute.compile:
        yield
        return
    if next(network.parameters()).device.type == "cpu" and not has_compiler():
        raise RuntimeError("compute.compile: true, but there is no C++ compiler; install g++, or set it to false")
    network.compile(dynamic=False)
    try:
        yield
    finally:
        del network._compiled_call_impl  # the class's own is None; PyTorch has no other way back


def has_compiler() -> bool:
    """Whether there is a C++ compiler that ``torch.compile`` finds."""
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++"))


def uncompiled(compute: Compute, when: bool) -> AbstractContextManager[None]:
    """Calls of a compiled network run as they are written, if ``when``: for shapes that are not worth compiling."""
    return torch.compiler.set_stance("force_eager") if compute.compile and when else nullcontext()
