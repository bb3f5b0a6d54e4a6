"""Checkpoints of the training loop: weights, average and optimiser state in one safetensors file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from suti.io.atomic import atomic_path


def save_checkpoint(
    path: str | Path,
    key: str,
    step: int,
    model: nn.Module,
    parameters: dict[str, nn.Parameter],
    optimizers: Sequence[torch.optim.Optimizer],
    average: dict[str, Tensor],
) -> None:
    """One safetensors file: weights, average, all optimiser state; its header has the step and the run's key."""
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.items()}
    for name, parameter in parameters.items():
        for optimizer in optimizers:
            for what, value in optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{what}/{name}"] = value
    # A copy each: safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: value.detach().clone().contiguous().cpu() for name, value in tensors.items()}
    with atomic_path(path) as part:
        save_file(tensors, part, metadata={"step": str(step), "key": key})


def load_checkpoint(
    path: str | Path | None,
    key: str,
    model: nn.Module,
    parameters: dict[str, nn.Parameter],
    optimizers: Sequence[torch.optim.Optimizer],
    average: dict[str, Tensor],
) -> int:
    """The step to go on from: 0 without a checkpoint, or if the one there is of other settings."""
    if path is None or not Path(path).is_file():
        return 0
    with safe_open(path, framework="pt") as stream:
        metadata = stream.metadata() or {}
        if metadata.get("key") != key:
            print(f"{path}: checkpoint of other settings, starting anew")
            return 0
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    model.load_state_dict({n.removeprefix("model/"): v for n, v in tensors.items() if n.startswith("model/")})
    for name, value in tensors.items():
        if name.startswith("average/"):
            average[name.removeprefix("average/")].copy_(value)
    owner = {id(p): optimizer for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            what, _, of = name.removeprefix("optimizer/").partition("/")
            parameter = parameters[of]
            optimizer = owner[id(parameter)]
            # A step counter stays where its optimiser keeps it: on the CPU, unless steps are captured.
            home = parameter.device if what != "step" or optimizer.defaults.get("capturable") else "cpu"
            optimizer.state[parameter][what] = value.to(home)
    step = int(metadata["step"])
    print(f"resumed {path} at step {step}")
    return step
