"""Device, threads and precision of a process."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from suti.config.schema import Compute
from suti.devices import pick_device


def prepare(compute: Compute) -> torch.device:
    """Set the number of threads, ask for deterministic kernels, and return the device to use.

    Raises:
        RuntimeError: the configuration asks for a GPU that is not there.
    """
    torch.set_num_threads(compute.threads)
    device = pick_device(compute)
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
