"""Device, threads and precision of a process."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from suti.config.schema import Compute


def prepare(compute: Compute) -> torch.device:
    """Set the number of threads, ask for deterministic kernels, and return the device to use.

    Raises:
        RuntimeError: the configuration asks for CUDA and there is none.
    """
    torch.set_num_threads(compute.threads)
    available = torch.cuda.is_available()
    if compute.device == "cuda" and not available:
        raise RuntimeError("compute.device: cuda, but torch sees no CUDA device; set it to auto or cpu")
    device = torch.device("cuda" if available and compute.device != "cpu" else "cpu")
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
    return device


def precision(compute: Compute, device: torch.device) -> str:
    """'bf16' or 'fp32': what ``auto`` means on this hardware."""
    if compute.precision != "auto":
        return compute.precision
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return "bf16" if native else "fp32"


def autocast(compute: Compute, device: torch.device) -> AbstractContextManager[None]:
    """Autocast to the configured precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision(compute, device) == "bf16")
