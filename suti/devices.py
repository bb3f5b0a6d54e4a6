"""The device of a process. On a machine with several GPUs every process takes one of its own, while there are any."""

from __future__ import annotations

import os
import re
import tempfile
from functools import cache
from pathlib import Path

import torch

from suti.config.schema import Compute
from suti.io.slots import take_least_busy


def pick_device(compute: Compute) -> torch.device:
    """The device that the configuration means; a GPU also becomes the process's current one.

    ``auto`` and ``cuda`` take the visible GPU that the fewest processes of this user hold, the same at every call.
    ``CUDA_VISIBLE_DEVICES`` is respected: only what it shows counts, and ``cuda:1`` is the second that it shows. The
    processes of one training under torchrun take the GPU of their local rank, as Accelerate does.

    Raises:
        RuntimeError: the configuration asks for a GPU that is not there.
    """
    count = torch.cuda.device_count() if compute.device != "cpu" and torch.cuda.is_available() else 0
    if count == 0 and compute.device in ("auto", "cpu"):
        return torch.device("cpu")
    if count == 0:
        raise RuntimeError(f"compute.device: {compute.device}, but torch sees no CUDA device; set it to auto or cpu")
    named = compute.device.partition(":")[2]
    if named and int(named) >= count:
        raise RuntimeError(f"compute.device: {compute.device}, but torch sees {count} GPUs; set it to auto, or lower")
    rank = os.environ.get("LOCAL_RANK")
    index = int(named) if named else int(rank) % count if rank is not None else _own_gpu(count)
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


@cache
def _own_gpu(count: int) -> int:
    """Index of the GPU that this process takes, of ``count`` visible ones."""
    if count == 1:
        return 0
    # By the card and not by its number: other processes may see other cards.
    cards = [str(getattr(torch.cuda.get_device_properties(i), "uuid", i)) for i in range(count)]
    folder = Path(tempfile.gettempdir()) / f"suti-gpus-{os.getuid()}"
    return take_least_busy([re.sub(r"[^\w-]", "_", card) for card in cards], folder)
