"""One training loop for every shipped model: keyed batches, averaged weights, exact resume.

The loss of step i draws its batch from a key of i, so a run that was killed and resumed sees the batches of
an undisturbed run, and its optimiser state comes from the checkpoint: both end at the same weights.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from suti.io.state import read_state, write_state
from suti.seeds import stable_hash

Loss = Callable[[int], dict[str, Tensor]]


@dataclass(frozen=True)
class LoopSettings:
    """How to train. ``learning_rate`` is the peak of a linear warm-up and cosine decay to 2 %.

    ``ema_decay`` averages the weights; the average is what ``train`` leaves in the model.
    ``checkpoint_every`` and the fields after it change no result.
    """

    name: str
    seed: int
    steps: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.02
    ema_decay: float = 0.997
    max_norm: float = 1.0
    checkpoint_every: int = 250
    log_every: int = 50
    threads: int = 1
    device: str = "cpu"
    precision: str = "fp32"


def rate_at(settings: LoopSettings, step: int) -> float:
    """Learning rate of a step counted from 0."""
    warm = min(1.0, (step + 1) / max(1, min(settings.warmup, settings.steps // 5)))
    progress = step / max(1, settings.steps)
    return settings.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))


def train(
    model: nn.Module,
    loss: Loss,
    settings: LoopSettings,
    checkpoint: str | Path | None = None,
    log: str | Path | None = None,
) -> float:
    """Train ``model`` in place and leave the averaged weights in it.

    Args:
        model: its parameters that require gradients are trained with AdamW (.9, .98).
        loss: step -> ``{"loss": scalar tensor to minimise, other scalars to log}``. It draws all from keys of
            the step; torch's own generator is seeded from (seed, name, step) before each call.
        settings: see ``LoopSettings``.
        checkpoint: file from which a killed run resumes, written every ``checkpoint_every`` steps and removed
            at the end. None: no checkpoints.
        log: JSON-lines file of the running means. None: progress bar only.

    Returns:
        Seconds this process spent in the loop.

    Raises:
        FloatingPointError: the loss is not finite (names model and step).
    """
    torch.set_num_threads(settings.threads)
    device = torch.device(settings.device)
    model.to(device).train()
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    decayed = [p for p in parameters.values() if p.ndim >= 2]
    plain = [p for p in parameters.values() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
    )
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    key = json.dumps([settings.name, settings.seed, settings.steps, settings.learning_rate, settings.ema_decay])
    start = load_checkpoint(checkpoint, key, model, parameters, optimizer, average)
    means: dict[str, float] = {}
    begun = time.perf_counter()
    bar = tqdm(range(start, settings.steps), desc=settings.name, initial=start, total=settings.steps, mininterval=5)
    for step in bar:
        torch.manual_seed(stable_hash(settings.seed, settings.name, step, bits=56))
        for group in optimizer.param_groups:
            group["lr"] = rate_at(settings, step)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
            values = loss(step)
        total = values["loss"]
        if not torch.isfinite(total):
            raise FloatingPointError(
                f"{settings.name}: loss is {float(total.detach())} at step {step}; lower the learning rate"
            )
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), settings.max_norm)
        optimizer.step()
        update_average(average, model, min(settings.ema_decay, (step + 1) / (step + 10)))
        for name, value in values.items():
            number = float(value.detach())
            means[name] = means.get(name, number) * 0.95 + number * 0.05
        last = step + 1 == settings.steps
        if log and ((step + 1) % settings.log_every == 0 or last):
            row = {"step": step + 1, "seconds": round(time.perf_counter() - begun, 1)}
            row |= {name: round(value, 5) for name, value in means.items()}
            with Path(log).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
            bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()})
        if checkpoint and (step + 1) % settings.checkpoint_every == 0 and not last:
            save_checkpoint(checkpoint, key, step + 1, model, parameters, optimizer, average)
    model.load_state_dict(average)
    model.eval()
    if checkpoint:
        Path(checkpoint).unlink(missing_ok=True)
    return time.perf_counter() - begun


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """Exponential moving average of the weights; counters and other integers are copied."""
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


def save_checkpoint(
    path: str | Path,
    key: str,
    step: int,
    model: nn.Module,
    parameters: dict[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
) -> None:
    """One file (suti/io/state.py): weights, average, both moments, the step and the run's key."""
    moments = {
        name: {moment: optimizer.state[parameter][moment] for moment in ("exp_avg", "exp_avg_sq")}
        for name, parameter in parameters.items()
        if parameter in optimizer.state
    }
    weights = {name: value.clone() for name, value in model.state_dict().items()}  # tied ones share their memory
    state = {"key": key, "step": step, "model": weights, "average": average, "moments": moments}
    write_state(Path(path), state)


def load_checkpoint(
    path: str | Path | None,
    key: str,
    model: nn.Module,
    parameters: dict[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
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
    step = int(state["step"])
    model.load_state_dict(state["model"])
    for name, value in state["average"].items():
        average[name].copy_(value)
    for name, moments in state["moments"].items():
        parameter = parameters[name]
        optimizer.state[parameter] = {
            "step": torch.tensor(float(step)),
            **{moment: value.to(parameter.device) for moment, value in moments.items()},
        }
    print(f"resumed {path} at step {step}")
    return step
