"""How many experts to train at once: as many as free memory holds, up to where the hardware gains no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch

from suti.batched.training import stacked_unet
from suti.batched.weights import unstackable
from suti.compute import autocast
from suti.config.schema import Compute
from suti.fine_tuning import FineTuning, TrainingSet
from suti.models.base import BaseModel

ROWS = {"cpu": 64, "cuda": 256}  # rows of a forward pass beyond which an expert gets no cheaper
EXPERTS = 32  # nor beyond so many experts, for a killed group is trained anew
SHARE = 0.4  # of free memory: another job may start beside this one
OVERHEAD = 1.5  # of backward's own tensors over those that forward saves
BYTES_A_NUMBER = 16  # master, rounded copy, gradient, and what the optimiser holds while it moves them


def experts_at_once(
    setting: int | Literal["auto"], base: BaseModel, settings: FineTuning, compute: Compute, like: TrainingSet
) -> int:
    """Number of experts that share a forward pass.

    Args:
        setting: ``experts.experts_at_once``. A number is taken as it is; ``auto`` measures an expert's memory by a
            forward pass, reads how much is free, and stops where more rows bring nothing.
        like: a subject, for its shapes.
    """
    if settings.method == "full" and unstackable(base.unet, settings.frozen):
        return 1
    if setting != "auto":
        return setting
    most = min(EXPERTS, ROWS.get(base.device.type, 64) // settings.batch_size)
    return max(1, min(most, int(SHARE * free_memory(base.device) / expert_memory(base, settings, compute, like))))


def expert_memory(base: BaseModel, settings: FineTuning, compute: Compute, like: TrainingSet) -> float:
    """Bytes that one more expert takes in training: what two save for the backward pass, less what one does."""
    one, two = (_saved(base, settings, compute, like, experts) for experts in (1, 2))
    return two - one


def free_memory(device: torch.device) -> int:
    """Bytes that this process may still take, on the device or, for the CPU, of the machine and of its own group."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        return min(free, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):  # no such group, or one without a limit
        return free


def _saved(base: BaseModel, settings: FineTuning, compute: Compute, like: TrainingSet, experts: int) -> float:
    storages: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> Any:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    rows = settings.batch_size * experts
    generators = [torch.Generator().manual_seed(0) for _ in range(experts)]
    x = like.x_start[:1].expand(rows, -1, -1, -1)
    text = like.text[:1].expand(rows, -1, -1)
    timesteps = torch.zeros(rows, dtype=torch.long, device=base.device)
    with (
        stacked_unet(base, settings, generators, compute) as parameters,
        autocast(compute, base.device),
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        out = base.unet(x, timesteps, text, return_dict=False)[0]
        numbers = sum(bank.master.numel() for bank in parameters.banks)
        del out
    return OVERHEAD * sum(storages.values()) + BYTES_A_NUMBER * numbers
