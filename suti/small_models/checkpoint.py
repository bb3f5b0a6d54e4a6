"""Checkpoints of the training loop: weights, average and optimiser state in one file (suti/io/state.py)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from suti.io.state import read_state, write_state


def save_checkpoint(
    path: str | Path,
    key: str,
    step: int,
    model: nn.Module,
    parameters: dict[str, nn.Parameter],
    optimizers: Sequence[torch.optim.Optimizer],
    average: dict[str, Tensor],
) -> None:
    """Write weights, average, all optimiser state, the step and the run's key."""
    moments = {
        name: dict(optimizer.state[parameter])
        for name, parameter in parameters.items()
        for optimizer in optimizers
        if parameter in optimizer.state
    }
    weights = {name: value.clone() for name, value in model.state_dict().items()}  # tied ones share their memory
    write_state(Path(path), {"key": key, "step": step, "model": weights, "average": average, "optimizer": moments})


def load_checkpoint(
    path: str | Path | None,
    key: str,
    model: nn.Module,
    parameters: dict[str, nn.Parameter],
    optimizers: Sequence[torch.optim.Optimizer],
    average: dict[str, Tensor],
) -> int:
    """The step to go on from: 0 without a checkpoint, or if the one there is damaged or of other settings."""
    if path is None or not Path(path).is_file():
        return 0
    try:
        state = read_state(Path(path))
    except ValueError as error:
        print(f"{error}; starting anew")
        return 0
    if state["key"] != key:
        print(f"{path}: checkpoint of other settings, starting anew")
        return 0
    model.load_state_dict(state["model"])
    for name, value in state["average"].items():
        average[name].copy_(value)
    owner = {id(p): optimizer for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
    for name, moments in state["optimizer"].items():
        parameter = parameters[name]
        optimizer = owner[id(parameter)]
        for what, value in moments.items():
            # A step counter stays where its optimiser keeps it: on the CPU, unless steps are captured.
            home = parameter.device if what != "step" or optimizer.defaults.get("capturable") else "cpu"
            optimizer.state[parameter][what] = value.to(home)
    step = int(state["step"])
    print(f"resumed {path} at step {step}")
    return step
