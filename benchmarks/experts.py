"""Experts an hour: K at once against one after another, LoRA on the shipped base, same steps, rows and precision.

    python benchmarks/experts.py [--base FOLDER] [--rows 1 4] [--experts 1 4 16 32] [--pairs N] [--steps N]

The plain side is the loop that diffusers' DreamBooth-LoRA example runs for each subject: a peft adapter, transformers'
Adafactor, a forward and a backward pass a step; text is encoded beforehand on both sides. The vmap side is the same
loop under ``torch.func.vmap``, parameters stacked. All run in this process, in turn, in alternating order, after a
warm-up of each. Ratios are the plain loop's time for an expert over the other side's.

Prints experts an hour, ratios with their spread, the share of a large matrix product's speed that the stacked step
reaches, peak memory, and last ``RATIO <median> (min <a>, max <b>, n <k>)``: the plain loop's time over ours at the
best K for four images an expert and step, the default (``experts.batch_size``).
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import ctypes
import gc
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from peft import LoraConfig
from torch.utils.flop_counter import FlopCounterMode
from transformers import Adafactor

from suti.batched.training import stacked_unet, train_experts
from suti.compute import autocast, precision, prepare
from suti.config.schema import Compute, Experts
from suti.fine_tuning import FineTuning, TrainingSet, trained_layers
from suti.models.base import BaseModel, load_base
from suti.seeds import torch_generator

ADAPTER = "plain"


def subjects(base: BaseModel, count: int) -> list[TrainingSet]:
    """Subjects of five pictures of noise: what they show does not matter to the clock."""
    draw = torch.Generator().manual_seed(0)
    side, channels = int(base.unet.config.sample_size), int(base.unet.config.in_channels)
    text = base.encode_text(["a teapot"] * 5)
    return [
        TrainingSet(torch.randn(5, channels, side, side, generator=draw).to(base.device), text) for _ in range(count)
    ]


def noisy(base: BaseModel, data: TrainingSet, rows: int) -> tuple[torch.Tensor, ...]:
    """A step's inputs, target and text: ``(rows, ...)`` each."""
    pick = torch.randint(len(data.x_start), (rows,))
    x_start, text = data.x_start[pick], data.text[pick]
    noise = torch.randn_like(x_start)
    timesteps = torch.randint(base.scheduler.config.num_train_timesteps, (rows,)).to(base.device)
    target = base.scheduler.get_velocity(x_start, noise, timesteps)
    if base.scheduler.config.prediction_type == "epsilon":
        target = noise
    return base.scheduler.add_noise(x_start, noise, timesteps), timesteps, text, target


def adapter(base: BaseModel, settings: FineTuning) -> list[torch.nn.Parameter]:
    """A fresh peft adapter on the layers that experts adapt; returns what it trains."""
    layers = list(trained_layers(base.unet, settings.frozen))
    rank = settings.lora_rank
    base.unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=layers), ADAPTER)
    return [p for n, p in base.unet.named_parameters() if f".{ADAPTER}." in n]


def adafactor(parameters: list[torch.Tensor], settings: FineTuning) -> Adafactor:
    """Adafactor at a fixed rate."""
    return Adafactor(
        parameters, lr=settings.learning_rate, scale_parameter=False, relative_step=False, warmup_init=False
    )


def plain(base: BaseModel, data: list[TrainingSet], settings: FineTuning, compute: Compute) -> None:
    """One subject after another."""
    for subject in data:
        parameters = adapter(base, settings)
        optimizer = adafactor(parameters, settings)
        base.unet.train()
        for _ in range(settings.steps):
            x, timesteps, text, target = noisy(base, subject, settings.batch_size)
            with autocast(compute, base.device):
                prediction = base.unet(x, timesteps, text).sample
                loss = torch.nn.functional.mse_loss(prediction.float(), target.float())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        _finish(base)


def mapped(base: BaseModel, data: list[TrainingSet], settings: FineTuning, compute: Compute) -> None:
    """The same loop under ``torch.func.vmap``: parameters, rows and gradients stacked over subjects."""
    adapter(base, settings)
    unet = copy.deepcopy(base.unet).train()
    _finish(base)
    if precision(compute, base.device) == "bf16":  # vmap's group norm takes no inputs of mixed precision
        for module in unet.modules():
            if isinstance(module, torch.nn.GroupNorm | torch.nn.LayerNorm):
                module.to(torch.bfloat16)
    count = len(data)
    stacked = {n: p.detach().expand(count, *p.shape).clone() for n, p in unet.named_parameters() if f".{ADAPTER}." in n}
    unet.requires_grad_(False)
    optimizer = adafactor(list(stacked.values()), settings)

    def loss(parameters: dict[str, torch.Tensor], *inputs: torch.Tensor) -> torch.Tensor:
        x, timesteps, text, target = inputs
        with autocast(compute, base.device):
            prediction = torch.func.functional_call(unet, parameters, (x, timesteps, text)).sample
            return torch.nn.functional.mse_loss(prediction.float(), target.float())

    step = torch.func.vmap(torch.func.grad(loss))
    for _ in range(settings.steps):
        inputs = zip(*(noisy(base, subject, settings.batch_size) for subject in data), strict=True)
        for name, gradient in step(stacked, *(torch.stack(parts) for parts in inputs)).items():
            stacked[name].grad = gradient
        optimizer.step()
        optimizer.zero_grad()


def _finish(base: BaseModel) -> None:
    base.unet.unload_lora()
    base.unet.requires_grad_(False)
    base.unet.eval()


def ours(base: BaseModel, data: list[TrainingSet], settings: FineTuning, compute: Compute) -> None:
    """All subjects at once."""
    generators = [torch_generator(0, "expert", str(i)) for i in range(len(data))]
    with stacked_unet(base, settings, generators, compute) as parameters:
        train_experts(base, parameters, data, generators, settings, compute)


def seconds(call: Callable[[], object]) -> float:
    """Time of one call: of the processor for one CPU thread, which other programs do not disturb, else wall time."""
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    clock = time.process_time if alone else time.perf_counter
    start = clock()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start


def line(name: str, values: list[float]) -> str:
    """One result: median, smallest, largest, count."""
    return f"{name} {statistics.median(values):.3f} (min {min(values):.3f}, max {max(values):.3f}, n {len(values)})"


def product_speed(compute: Compute, device: torch.device) -> float:
    """GFLOP/s of a large matrix product in the precision of the run, the best of ten."""
    dtype = torch.bfloat16 if precision(compute, device) == "bf16" else torch.float32
    size = 2048 if device.type == "cpu" else 8192
    matrix = torch.randn(size, size, device=device, dtype=dtype)
    return 2e-9 * size**3 / min(seconds(lambda: matrix @ matrix) for _ in range(10))


def step_flops(base: BaseModel, data: list[TrainingSet], settings: FineTuning, compute: Compute) -> float:
    """Floating-point operations of a plain step of one expert: what training needs, padding and detours left out."""
    one = FineTuning(**{**vars(settings), "steps": 1})
    with FlopCounterMode(display=False) as counter:
        plain(base, data[:1], one, compute)
    return float(counter.get_total_flops())


def peak_memory(device: torch.device) -> Callable[[], float]:
    """Starts a measurement of peak memory; the result ends it and gives MB above the start."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        start = torch.cuda.memory_allocated()
        return lambda: (torch.cuda.max_memory_allocated() - start) / 1e6
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # what earlier calls freed goes back, or it hides the next peak
        ctypes.CDLL(None).malloc_trim(0)
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    try:
        clear.write_text("5")  # the kernel then counts the peak anew
    except OSError:
        return lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

    def read(field: str) -> float:
        return next(int(row.split()[1]) for row in status.read_text().splitlines() if row.startswith(field)) / 1e3

    before = read("VmRSS")
    return lambda: read("VmHWM") - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="resources/models/base", help="base folder or hub id")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4], help="images an expert and step")
    parser.add_argument("--experts", type=int, nargs="+", default=[1, 4, 16, 32], help="experts at once")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of calls for each number")
    parser.add_argument("--steps", type=int, default=10, help="optimiser steps of a call")
    parser.add_argument(
        "--vmap", type=int, nargs="*", default=[4], help="experts at once under vmap; none: leave it out"
    )
    args = parser.parse_args()
    compute, defaults = Compute(), Experts()
    device = prepare(compute)
    base = load_base(args.base).to(device)
    data = subjects(base, max(args.experts + args.vmap))
    fast = product_speed(compute, device)
    print(f"precision {precision(compute, device)}, {torch.get_num_threads()} threads, product {fast:.0f} GFLOP/s")
    best: dict[int, list[float]] = {}
    for rows in args.rows:
        settings = FineTuning(
            "lora", args.steps, rows, defaults.learning_rate, defaults.lora_rank, tuple(defaults.frozen)
        )
        flops = step_flops(base, data, settings, compute)
        sides = [("ours", ours, count) for count in args.experts] + [("vmap", mapped, count) for count in args.vmap]
        plain(base, data[:1], settings, compute)
        for name, side, count in sides:
            call = lambda s=side, c=count, f=settings: s(base, data[:c], f, compute)  # noqa: E731
            memory = peak_memory(device)
            call()
            megabytes, ratios, times = memory(), [], []
            for number in range(args.pairs):
                order = [lambda f=settings: plain(base, data[:1], f, compute), call]
                taken = [seconds(f) for f in (order if number % 2 else order[::-1])]
                lone, group = taken if number % 2 else taken[::-1]
                ratios.append(lone * count / group)
                times.append(group / count)
            hour = 3600 / (statistics.median(times) / args.steps * defaults.steps)
            speed = flops * args.steps / statistics.median(times) * 1e-9
            print(
                line(f"{rows} images a step, {name}, {count} at once: plain over this", ratios),
                f"| {1e3 * statistics.median(times) / args.steps:.1f} ms an expert-step, {hour:.0f} experts/h"
                f" of {defaults.steps} steps | {speed:.0f} GFLOP/s, {speed / fast:.0%} of the product's"
                f" | peak memory {megabytes:.0f} MB",
                flush=True,
            )
            if name == "ours" and statistics.median(ratios) > statistics.median(best.get(rows, [0.0])):
                best[rows] = ratios
    print(line("RATIO", best[defaults.batch_size if defaults.batch_size in best else args.rows[-1]]))


if __name__ == "__main__":
    main()
