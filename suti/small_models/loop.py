"""One training loop for every shipped model: keyed batches, averaged weights, exact resume.

The batch of step i is drawn from a key of i, so a run that was killed and resumed sees the batches of an undisturbed
run, and its optimiser state comes from the checkpoint: both end at the same weights. A run may be given seconds instead
of steps. The learning rate then follows the elapsed share of them, so that it has always come down at the end.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from suti.seeds import stable_hash
from suti.small_models.checkpoint import load_checkpoint, save_checkpoint
from suti.small_models.optimizers import Average, make_optimizers, set_rate

Values = dict[str, Tensor]
Loss = Callable[[Any], Values]
Draw = Callable[[int], dict[str, Tensor]]
WARM_UP_CALLS = 3  # of a step before its capture: kernels are chosen and the optimisers' state is made there


class Spent(NamedTuple):
    """What a run took: seconds of this process in the loop, and steps in all, those before a resume included."""

    seconds: float
    steps: int


@dataclass(frozen=True)
class LoopSettings:
    """How to train. ``learning_rate`` is the peak of a linear warm-up, a plateau and a cosine decay to 2 %.

    ``hold`` is the share of the run until which the rate stays at its peak. ``ema_decay`` averages the weights; the
    average is what ``train`` leaves in the model. ``seconds`` ends the run by time and not by ``steps``; such a run
    depends on the machine's speed. ``deadline``, in seconds since 1970, shortens ``seconds`` to what is left at its
    first step. ``duty`` is the share of the time in which a run works; in the rest it leaves the device to the runs
    beside it, which would otherwise get an equal part of it. ``optimizer``: see ``make_optimizers``.
    ``checkpoint_every`` and the fields after it change no result but for rounding.
    """

    name: str
    seed: int
    steps: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.02
    ema_decay: float = 0.997
    max_norm: float = 1.0
    optimizer: str = "adamw"
    hold: float = 0.0
    seconds: float | None = None
    deadline: float | None = None
    duty: float = 1.0
    checkpoint_every: int = 250
    log_every: int = 50
    threads: int = 1
    device: str = "cpu"
    precision: str = "fp32"
    compile: bool = False
    graph: bool = True


def rate_at(settings: LoopSettings, step: int, elapsed: float = 0.0) -> float:
    """Learning rate of a step counted from 0, ``elapsed`` seconds after the run began."""
    progress = step / max(1, settings.steps)
    warmup = max(1, min(settings.warmup, settings.steps // 5))
    if settings.seconds is not None:
        progress, warmup = min(1.0, elapsed / settings.seconds), settings.warmup
    warm = min(1.0, (step + 1) / warmup)
    fall = max(0.0, (progress - settings.hold) / (1 - settings.hold))
    return settings.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * fall)))


def train(
    model: nn.Module,
    loss: Loss,
    settings: LoopSettings,
    checkpoint: str | Path | None = None,
    log: str | Path | None = None,
    draw: Draw | None = None,
) -> Spent:
    """Train ``model`` in place and leave the averaged weights in it.

    Args:
        model: its parameters that require gradients are trained.
        loss: step, or what ``draw`` returns for it -> ``{"loss": scalar tensor to minimise, other scalars to log}``.
            All random numbers come from keys of the step or from torch's own generators, which are seeded from
            (seed, name, step) before each call.
        settings: see ``LoopSettings``.
        checkpoint: file from which a killed run resumes, written every ``checkpoint_every`` steps and removed
            at the end. None: no checkpoints.
        log: JSON-lines file of the running means. None: progress bar only.
        draw: step -> tensors on the device, of the same shapes at every step. With it a step on a GPU is captured
            once as a CUDA graph and replayed, unless ``settings.graph`` is false; ``loss`` must work on tensors alone.

    Returns:
        Seconds and steps.

    Raises:
        FloatingPointError: the loss is not finite (names model and step).
    """
    begun = time.perf_counter()
    if settings.deadline is not None:
        settings = replace(settings, seconds=max(1.0, settings.deadline - time.time()))
    torch.set_num_threads(settings.threads)
    device = torch.device(settings.device)
    model.to(device).train()
    run = _Run(model, loss, settings, device)
    key = json.dumps([settings.name, settings.seed, settings.steps, settings.learning_rate, settings.ema_decay])
    first = load_checkpoint(checkpoint, key, model, run.parameters, run.optimizers, run.average.tensors)
    means: Values = {}
    replay: Callable[[dict[str, Tensor]], Values] | None = None
    step = first - 1
    bar = tqdm(range(first, settings.steps), desc=settings.name, initial=first, total=settings.steps, mininterval=5)
    for step in bar:
        started = time.perf_counter()
        elapsed = started - begun
        batch: Any = step if draw is None else draw(step)
        if draw is not None and replay is None:
            replay = run.capture(batch)
        torch.manual_seed(stable_hash(settings.seed, settings.name, step, bits=56))
        run.schedule(step, rate_at(settings, step, elapsed), 1 - min(settings.ema_decay, (step + 1) / (step + 10)))
        values = replay(batch) if replay is not None else run.step(batch)
        for name, value in values.items():
            # on the device: reading a number every step would make it wait
            means[name] = means[name].lerp_(value, 0.05) if name in means else value.detach().float().clone()
        last = step + 1 == settings.steps or (settings.seconds is not None and elapsed >= settings.seconds)
        if (step + 1) % settings.log_every == 0 or last:
            run.check(values["loss"])
            row = {"step": step + 1, "seconds": round(time.perf_counter() - begun, 1)}
            row |= {name: round(float(value), 5) for name, value in means.items()}
            bar.set_postfix({name: f"{float(value):.3f}" for name, value in means.items()})
            if log:
                with Path(log).open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")
        if checkpoint and (step + 1) % settings.checkpoint_every == 0 and not last:
            save_checkpoint(checkpoint, key, step + 1, model, run.parameters, run.optimizers, run.average.tensors)
        if last:
            break
        if settings.duty < 1:
            _rest(device, started, settings.duty)
    model.load_state_dict(run.average.tensors)
    model.eval()
    if checkpoint:
        Path(checkpoint).unlink(missing_ok=True)
    return Spent(time.perf_counter() - begun, step + 1)


def _rest(device: torch.device, started: float, duty: float) -> None:
    """Sleep so long that the step begun at ``started`` fills ``duty`` of the time."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    time.sleep((time.perf_counter() - started) * (1 / duty - 1))


class _Run:
    """One optimiser step, as it is written or captured."""

    def __init__(self, model: nn.Module, loss: Loss, settings: LoopSettings, device: torch.device) -> None:
        self.model, self.loss, self.settings, self.device = model, loss, settings, device
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimizers = make_optimizers(
            self.parameters, settings.optimizer, settings.learning_rate, settings.weight_decay, device
        )
        self.average = Average(model)
        self.weight: float | Tensor = torch.zeros((), device=device) if device.type == "cuda" else 0.0

    def schedule(self, number: int, rate: float, weight: float) -> None:
        """Set the number, the rate and the average's weight of the next step."""
        self.number = number
        set_rate(self.optimizers, rate)
        if isinstance(self.weight, Tensor):
            self.weight.fill_(weight)
        else:
            self.weight = weight

    def step(self, batch: Any) -> Values:
        """Loss, gradients, update of weights and average."""
        precise = self.settings.precision != "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=not precise):
            values = self.loss(batch)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cpu":
            self.check(values["loss"])  # a GPU would have to wait for it: there the loop looks now and then
        values["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.settings.max_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.update(self.weight)
        return {name: value.detach() for name, value in values.items()}

    def check(self, loss: Tensor) -> None:
        """Raise if the loss is not finite."""
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"{self.settings.name}: loss is {float(loss.detach())} at step {self.number}; lower the learning rate"
            )

    def capture(self, batch: dict[str, Tensor]) -> Callable[[dict[str, Tensor]], Values] | None:
        """The step as a CUDA graph: a function of batches. None on a CPU, or where capture fails (said aloud)."""
        if self.device.type != "cuda" or not self.settings.graph:
            return None
        static = {name: value.clone() for name, value in batch.items()}
        self.schedule(0, 0.0, 0.0)  # the calls before the capture change no weight
        kept = {id(value): value.clone() for value in self._state()}
        try:
            try:
                self._warm_up(static)
            except Exception as error:
                if not self.settings.compile:
                    raise
                print(f"{self.settings.name}: not compiled ({_line(error)})")
                torch.compiler.set_stance("force_eager")
                self._warm_up(static)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                values = self.step(static)
        except RuntimeError as error:
            print(f"{self.settings.name}: no CUDA graph ({_line(error)})")
            return None
        finally:
            for value in self._state():  # as before those calls, in the same memory
                value.copy_(kept[id(value)]) if id(value) in kept else value.zero_()

        def replay(batch: dict[str, Tensor]) -> Values:
            for name, value in batch.items():
                static[name].copy_(value)
            graph.replay()
            return values

        return replay

    def _warm_up(self, batch: dict[str, Tensor]) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_CALLS):
                self.step(batch)
        torch.cuda.current_stream().wait_stream(stream)

    def _state(self) -> list[Tensor]:
        return [value for optimizer in self.optimizers for row in optimizer.state.values() for value in row.values()]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
