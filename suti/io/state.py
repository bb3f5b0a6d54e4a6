"""The one file format of a training's progress: a safetensors file, whole or absent.

A state is any nesting of dicts, lists and plain values around tensors (what ``state_dict`` gives). Tensors lie in the
file under numbers, the rest as JSON in its head. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from suti.io.atomic import atomic_path


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state atomically, with a checksum of its tensors."""
    tensors: dict[str, torch.Tensor] = {}
    tree = json.dumps(_take_apart(state, tensors))
    with atomic_path(path) as part:
        save_file(tensors, part, metadata={"state": tree, "checksum": str(_checksum(tensors))})


def read_state(path: Path) -> dict[str, Any]:
    """Read a state; its tensors are on the CPU.

    Raises:
        ValueError: the file is no whole checkpoint (names the file).
    """
    try:
        with safe_open(path, framework="pt") as file:
            head = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if int(head["checksum"]) != _checksum(tensors):
            raise ValueError("its checksum differs")
        state: dict[str, Any] = _put_together(json.loads(head["state"]), tensors)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ValueError(f"{path}: not a whole checkpoint ({error})") from error
    return state


def _checksum(tensors: dict[str, torch.Tensor]) -> int:
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, total)
    return total


def _take_apart(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """JSON of a value, its tensors moved into ``tensors``. Keys of dicts may be numbers, so dicts become pairs."""
    if isinstance(value, torch.Tensor):
        name = f"{len(tensors):06d}"
        tensors[name] = value.detach().cpu().contiguous()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _take_apart(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_take_apart(item, tensors) for item in value]}
    return {"value": value}


def _put_together(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _put_together(item, tensors) for key, item in content}
    if kind in ("list", "tuple"):
        return (list if kind == "list" else tuple)(_put_together(item, tensors) for item in content)
    return content
