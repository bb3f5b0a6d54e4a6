"""What all trainers share besides the loop: settings, the provenance file, weights at half size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from suti.compute import precision, prepare
from suti.config.schema import Compute
from suti.io.atomic import atomic_path, read_json, write_json
from suti.io.provenance import provenance
from suti.small_models.loop import LoopSettings, Spent

UNLIMITED = 10**9  # steps of a run that ends by time
SELDOM = 2000  # steps between its checkpoints: a GPU makes so many in a minute

Judge = Callable[[Path, int], dict[str, Any]]


def loop_settings(
    name: str, seed: int, steps: int, learning_rate: float, compute: Compute, **more: Any
) -> LoopSettings:
    """``LoopSettings`` of a model from the configuration's seed and compute section."""
    device = prepare(compute)
    if more.get("seconds") is not None:
        # A run that ends by time cannot be repeated to the bit: take the fastest kernels.
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = True
        steps = UNLIMITED
        more.setdefault("checkpoint_every", SELDOM)
    return LoopSettings(
        name, seed, steps, learning_rate, threads=compute.threads, device=device.type,
        precision=precision(compute, device), **more,
    )  # fmt: skip


def write_provenance(
    folder: str | Path,
    settings: LoopSettings,
    spent: Spent,
    held_out: dict[str, Any],
    extra: dict[str, Any] | None = None,
) -> None:
    """Write ``provenance.json`` into a model folder: how it was made, how good it is on held-out renders."""
    made = {
        "seed": settings.seed,
        "steps": spent.steps,
        "learning_rate": settings.learning_rate,
        "ema_decay": settings.ema_decay,
        "precision": settings.precision,
        "threads": settings.threads,
        **(extra or {}),
    }
    write_json(Path(folder) / "provenance.json", provenance(made, spent.seconds, held_out=held_out))


def evaluate(
    folder: str | Path,
    settings: LoopSettings,
    spent: Spent,
    judge: Judge,
    extra: dict[str, Any] | None = None,
) -> None:
    """Add ``provenance.json`` to a model folder that is in its place already: judging takes a while, weights must stay.

    ``judge``: (folder, seed) -> figures on held-out renders.
    """
    write_provenance(folder, settings, spent, {}, extra)
    write_provenance(folder, settings, spent, judge(Path(folder), settings.seed), extra)


def store_half(folder: str | Path) -> None:
    """Halve the folder's safetensors: floats as float16, which loaders copy into float32 parameters.

    In transformers folders ``config.json`` goes on to say ``dtype: float32``, the precision to compute in.
    """
    for path in Path(folder).rglob("*.safetensors"):
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {"format": "pt"}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        halves = {n: (t.half() if t.is_floating_point() else t).contiguous() for n, t in tensors.items()}
        with atomic_path(path) as part:
            save_file(halves, part, metadata=metadata)
            part.chmod(0o644)
    config = Path(folder) / "config.json"
    if config.is_file():
        values = read_json(config)
        if "transformers_version" in values:
            write_json(config, values | {"dtype": "float32"})
