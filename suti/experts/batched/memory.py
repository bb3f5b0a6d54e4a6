"""How many experts to train at once, and how many images of each in one pass: what free memory holds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from suti.compute import autocast
from suti.config.schema import Compute
from suti.experts.batched.training import stacked_unet
from suti.experts.batched.weights import unstackable
from suti.experts.fine_tuning import FineTuning, TrainingSet
from suti.models.backbone import Backbone

ROWS = {"cpu": 64, "cuda": 1024}  # rows of a forward pass beyond which an expert gets no cheaper
EXPERTS = {"cpu": 32, "cuda": 256}  # nor beyond so many experts, for a killed group is trained anew
SHARE = 0.4  # of free memory: another job may start beside this one
ORDERED = 0.8  # of free memory, where the number of experts is an order
OVERHEAD = {"cpu": 1.5, "cuda": 1.1}  # of backward's own tensors over those that forward saves, as was measured
BYTES_A_NUMBER = 16  # master, rounded copy, gradient, and what the optimiser holds while it moves them


@dataclass(frozen=True)
class Fit:
    """What one forward pass holds.

    Attributes:
        experts: K, experts that share the pass.
        micro_batch: images of each expert in it, at most ``experts.batch_size``.
    """

    experts: int
    micro_batch: int


def fit_machine(
    experts: int | Literal["auto"],
    micro_batch: int | Literal["auto"],
    base: Backbone,
    settings: FineTuning,
    compute: Compute,
    like: TrainingSet,
) -> Fit:
    """Number of experts that share a forward pass, and of each one's images in it.

    ``auto`` measures an expert's memory by a forward pass and reads how much is free. It takes a step's images whole
    and as many experts as fit, up to where more rows bring nothing. What counts is the rows of a pass, whosever they
    are, so a pass takes fewer images of each only where not even one expert fits otherwise.

    Args:
        experts: ``experts.experts_at_once``. A number is kept; ``auto`` images give way to it.
        micro_batch: ``experts.micro_batch``. A number is kept, up to ``experts.batch_size``.
        like: a subject, for its shapes.

    Warns:
        RuntimeWarning: what was ordered does not fit into free memory even in the smallest pass.
    """
    if settings.method == "full" and unstackable(base.network, settings.frozen):
        experts = 1  # its tensors cannot be stacked, however much memory there is
    free = free_memory(base.device)
    sizes = _divisors(settings.batch_size) if micro_batch == "auto" else [min(micro_batch, settings.batch_size)]
    first, further = expert_memory(base, settings, compute, like)
    held = 0.0
    for size in sizes:
        held = first + (size - 1) * further
        if experts == "auto":
            kind = _kind(base.device)
            most = min(EXPERTS[kind], max(1, ROWS[kind] // size))
            if (count := min(most, int(SHARE * free / held))) > 0:
                return Fit(count, size)
        elif experts * held <= ORDERED * free:
            return Fit(experts, size)
    wanted = 1 if experts == "auto" else experts
    if wanted * held > ORDERED * free:
        warnings.warn(_complaint(wanted, sizes[-1], held, free, settings), RuntimeWarning, stacklevel=2)
    return Fit(wanted, sizes[-1])


def _complaint(experts: int, size: int, held: float, free: float, settings: FineTuning) -> str:
    fewer = int(ORDERED * free / held)
    cure = f"set it to auto, or to {fewer} or less" if fewer else "free memory, take a larger machine or smaller base"
    if size > 1:
        cure += ", or set experts.micro_batch to auto"
    elif not fewer and settings.method == "full":
        cure += ", or set experts.method to lora"
    return (
        f"experts.experts_at_once: {experts} needs about {experts * held / 1e9:.2f} GB with {size} images of each in "
        f"a pass, but {free / 1e9:.2f} GB are free; {cure}"
    )


def _divisors(number: int) -> list[int]:
    """Divisors, the largest first: passes of a step are then of one size."""
    return [size for size in range(number, 0, -1) if number % size == 0]


def expert_memory(base: Backbone, settings: FineTuning, compute: Compute, like: TrainingSet) -> tuple[float, float]:
    """Bytes that one more expert takes in training, with one image in the pass, and that each further image takes.

    Measured by forward passes of one and two rows, which fit where more would not.
    """
    one = replace(settings, batch_size=1)
    alone = _saved(base, one, compute, like, 1)
    further = _saved(base, replace(settings, batch_size=2), compute, like, 1) - alone
    if settings.method == "full" and unstackable(base.network, settings.frozen):
        return alone, further
    return _saved(base, one, compute, like, 2) - alone, further


def free_memory(device: torch.device) -> int:
    """Bytes that this process may still take, on the device or, for the CPU, of the machine and of its own group."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        taken = int((group / "memory.current").read_text())
        counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # Files that were read stay in memory until someone else wants it: they count as taken, but are free.
        return min(free, int((group / "memory.max").read_text()) - taken + int(counts.get("inactive_file", 0)))
    except (OSError, ValueError):  # no such group, or one without a limit
        return free


def _saved(base: Backbone, settings: FineTuning, compute: Compute, like: TrainingSet, experts: int) -> float:
    storages: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> Any:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    rows = settings.batch_size * experts
    generators = [torch.Generator().manual_seed(0) for _ in range(experts)]
    x = like.x_start[:1].expand(rows, -1, -1, -1)
    conditions = like.conditions[:1].expand(rows)
    times = base.schedule.times(torch.zeros(rows)).to(base.device)
    with (
        stacked_unet(base, settings, generators, compute) as parameters,
        autocast(compute, base.device),
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        out = base.predict(x, times, conditions)
        numbers = sum(bank.master.numel() for bank in parameters.banks)
        del out
    return OVERHEAD[_kind(base.device)] * sum(storages.values()) + BYTES_A_NUMBER * numbers


def _kind(device: torch.device) -> str:
    return device.type if device.type in ROWS else "cpu"
