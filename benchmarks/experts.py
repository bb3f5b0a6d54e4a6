"""Experts an hour: K at once against one after another, same base, steps, rows, optimiser and precision.

    python benchmarks/experts.py [--shape base | sd15] [--method lora | full] [--rows 1 4] [--experts 1 4 16 32]
        [--vmap 4] [--pairs N] [--steps N] [--plain-steps N] [--size N] [--compile] [--profile]

The plain side is the loop that diffusers' DreamBooth and DreamBooth-LoRA examples run for each subject: all weights or
a peft adapter, transformers' Adafactor, a forward and a backward pass a step; text is encoded beforehand on both sides.
The vmap side is the LoRA loop under ``torch.func.vmap``, parameters stacked. All run in this process, in turn, in
alternating order, after a warm-up of each. Ratios are of the time for an expert's steps, the plain loop's over the
other side's; what comes before the first step (adapters, their start) is timed by itself and counts in experts an
hour.

``--shape sd15`` is a UNet of Stable Diffusion 1.5's shape (860M weights, latents of 64 x 64, 77 tokens of 768) with
random weights, which do for timing; it is meant for a GPU. ``--compile`` runs ours through torch.compile, ``--profile``
prints the operators that take most of the time.

Prints experts an hour, ratios with their spread, the share of a large matrix product's speed that the stacked step
reaches, peak memory, how near the K that is chosen automatically comes to the best one, and last
``RATIO <median> (min <a>, max <b>, n <k>)``: the plain loop's time over ours at the best K for four images an expert
and step, the default (``experts.batch_size``). Before that, unless ``--method`` is given, the same ratio for full
fine-tuning.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from measure import breakdown, line, peak_memory, product_speed, seconds
from peft import LoraConfig
from torch.utils.flop_counter import FlopCounterMode
from transformers import Adafactor

from suti.compute import autocast, compiled, precision, prepare
from suti.config.schema import Compute, Experts
from suti.experts.batched.memory import EXPERTS, expert_memory, fit_machine
from suti.experts.batched.training import stacked_unet, train_experts
from suti.experts.fine_tuning import FineTuning, TrainingSet, subject_unet, trained_layers
from suti.models.base import BaseModel, load_base
from suti.models.conditions import HIDDEN_STATES, Conditions
from suti.models.small_attention import use_small_map_attention
from suti.seeds import torch_generator

Train = Callable[[], object]  # all steps of the experts that were set up

ADAPTER = "plain"
TOKENS = 77  # of a text of Stable Diffusion
FULL = 8  # experts at once of the line about full fine-tuning


def load(shape: str, folder: str, size: int | None) -> BaseModel:
    """The base of a folder, or a UNet of Stable Diffusion 1.5's shape with random weights and no text encoder."""
    if shape == "base":
        return load_base(folder)
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=size or 64, cross_attention_dim=768, attention_head_dim=8, block_out_channels=(320, 640, 1280, 1280)
    )
    use_small_map_attention(unet)  # as load_base does
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    unet.requires_grad_(False).eval()
    return BaseModel(unet, None, None, scheduler)  # type: ignore[arg-type]


def subjects(base: BaseModel, count: int) -> list[TrainingSet]:
    """Subjects of five pictures of noise: what they show does not matter to the clock."""
    draw = torch.Generator().manual_seed(0)
    if base.text_encoder is None:
        hidden = torch.randn(5, TOKENS, base.unet.config.cross_attention_dim, generator=draw).to(base.device)
        text = Conditions({HIDDEN_STATES: hidden})
    else:
        text = base.encode(["a teapot"] * 5)
    return [TrainingSet(torch.randn(5, *base.shape, generator=draw).to(base.device), text) for _ in range(count)]


def noisy(base: BaseModel, data: TrainingSet, rows: int) -> tuple[torch.Tensor, ...]:
    """A step's inputs, target and text: ``(rows, ...)`` each."""
    pick = torch.randint(len(data.x_start), (rows,))
    x_start, text = data.x_start[pick], data.conditions[pick].hidden_states
    noise = torch.randn_like(x_start)
    timesteps = torch.randint(base.schedule.end, (rows,)).to(base.device)
    target = base.schedule.target(x_start, noise, timesteps)
    return base.schedule.noisy(x_start, noise, timesteps), timesteps, text, target


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


@contextmanager
def plain(base: BaseModel, data: list[TrainingSet], settings: FineTuning, compute: Compute) -> Iterator[Train]:
    """One subject by the usual loop."""
    (subject,) = data

    def train() -> None:
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

    if settings.method == "full":
        with subject_unet(base, settings) as (_, parameters):
            yield train
    else:
        parameters = adapter(base, settings)
        yield train
        base.unet.unload_lora()
    base.unet.requires_grad_(False).eval()


@contextmanager
def mapped(base: BaseModel, data: list[TrainingSet], settings: FineTuning, compute: Compute) -> Iterator[Train]:
    """The same loop under ``torch.func.vmap``: parameters, rows and gradients stacked over subjects."""
    adapter(base, settings)
    unet = copy.deepcopy(base.unet).train()
    base.unet.unload_lora()
    base.unet.requires_grad_(False).eval()
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

    def train() -> None:
        for _ in range(settings.steps):
            inputs = zip(*(noisy(base, subject, settings.batch_size) for subject in data), strict=True)
            for name, gradient in step(stacked, *(torch.stack(parts) for parts in inputs)).items():
                stacked[name].grad = gradient
            optimizer.step()
            optimizer.zero_grad()

    yield train


@contextmanager
def ours(base: BaseModel, data: list[TrainingSet], settings: FineTuning, compute: Compute) -> Iterator[Train]:
    """All subjects at once."""
    generators = [torch_generator(0, "expert", str(i)) for i in range(len(data))]
    with stacked_unet(base, settings, generators, compute) as parameters:
        yield lambda: train_experts(base, parameters, data, generators, settings, compute)


def step_flops(base: BaseModel, data: list[TrainingSet], settings: FineTuning, compute: Compute) -> float:
    """Floating-point operations of a plain step of one expert: what training needs, padding and detours left out."""
    one_step = replace(settings, steps=1)
    with FlopCounterMode(display=False) as counter, plain(base, data[:1], one_step, compute) as train:
        train()
    return float(counter.get_total_flops())


@dataclass(frozen=True)
class Measured:
    """A side at a number of experts at once.

    Attributes:
        ratios: of the plain loop's time for an expert's steps over this side's, a pair of calls each; (0,) if memory
            ran out.
        megabytes: peak memory.
    """

    ratios: tuple[float, ...]
    megabytes: float

    @property
    def ratio(self) -> float:
        """The median."""
        return statistics.median(self.ratios)


class Comparison:
    """The sides of a run and what they are measured on."""

    def __init__(self, base: BaseModel, args: argparse.Namespace, compute: Compute) -> None:
        self.base, self.args, self.compute = base, args, compute
        self.data = subjects(base, max([*args.experts, *args.vmap, FULL, *EXPERTS.values()]))
        # peft rebuilds layers of the plain side's UNet, which would make a compiled one compile anew.
        self.ours = replace(base, unet=copy.deepcopy(base.unet)) if compute.compile else base
        self.fast = product_speed(compute, base.device)

    def settings(self, method: str, rows: int) -> FineTuning:
        """The default expert at so many images a step, but for the number of steps."""
        d = Experts()
        return FineTuning(method, self.args.steps, rows, d.learning_rate, d.lora_rank, tuple(d.frozen))

    def run(self, side: str, count: int, settings: FineTuning) -> tuple[float, float]:
        """One call of a side: seconds before the first step, and of the steps."""
        with ExitStack() as stack:
            entered: list[Train] = []
            before = seconds(lambda: entered.append(stack.enter_context(self.entered(side, count, settings))))
            return before, seconds(entered[0])

    def entered(self, side: str, count: int, settings: FineTuning) -> AbstractContextManager[Train]:
        """A side set up; inside, all its steps can be run."""
        make = {"plain": plain, "vmap": mapped, "ours": ours}[side]
        return make(self.ours if side == "ours" else self.base, self.data[:count], settings, self.compute)

    def measure(self, side: str, count: int, settings: FineTuning, flops: float, pairs: int) -> Measured:
        """Compare a side with the plain loop; prints all that is known."""
        name = f"{settings.batch_size} images a step, {side}{', full' if settings.method == 'full' else ''}"
        memory = peak_memory(self.base.device)
        try:
            self.run(side, count, settings)
        except torch.OutOfMemoryError:
            print(f"{name}, {count} at once: out of memory", flush=True)
            torch.cuda.empty_cache()
            return Measured((0.0,), math.inf)
        megabytes, ratios, times, starts = memory(), [], [], []
        few = replace(settings, steps=self.args.plain_steps)
        for number in range(pairs):
            order = [("plain", 1, few), (side, count, settings)]
            taken = [self.run(*which) for which in (order if number % 2 else order[::-1])]
            (_, lone), (start, group) = taken if number % 2 else taken[::-1]
            times.append(group / count / settings.steps)
            ratios.append(lone / few.steps / times[-1])
            starts.append(start / count)
        steps, each = Experts().steps, statistics.median(times)
        print(
            line(f"{name}, {count} at once: plain over this", ratios),
            f"| {1e3 * each:.3g} ms an expert-step, {1e3 * statistics.median(starts):.3g} ms before the first,"
            f" {3600 / (each * steps + statistics.median(starts)):.0f} experts/h of {steps} steps"
            f" | {flops / each * 1e-9:.0f} GFLOP/s, {flops / each * 1e-9 / self.fast:.1%} of"
            f" the product's | peak memory {megabytes:.0f} MB",
            flush=True,
        )
        return Measured(tuple(ratios), megabytes)

    def automatic(self, settings: FineTuning, flops: float, known: dict[int, Measured]) -> int:
        """Print how near the K of ``experts_at_once: auto`` comes to the best; returns that K."""
        like = self.data[0]
        fit = fit_machine("auto", settings.batch_size, self.base, settings, self.compute, like)
        first, further = expert_memory(self.base, settings, self.compute, like)
        expected = fit.experts * (first + (settings.batch_size - 1) * further) / 1e6
        if fit.experts not in known:
            known[fit.experts] = self.measure("ours", fit.experts, settings, flops, self.args.pairs)
        best = max(known, key=lambda count: known[count].ratio)
        print(
            f"{settings.batch_size} images a step, automatic: K = {fit.experts},"
            f" {known[fit.experts].ratio / known[best].ratio:.1%} of the speed of the best, K = {best};"
            f" memory expected {expected:.0f} MB, peak {known[fit.experts].megabytes:.0f} MB",
            flush=True,
        )
        return fit.experts

    def all_of(self, method: str) -> dict[int, Measured]:
        """All sides at all numbers of images; ours at the best K."""
        best: dict[int, Measured] = {}
        for rows in self.args.rows:
            settings = self.settings(method, rows)
            flops = step_flops(self.base, self.data, settings, self.compute)
            if self.args.shape == "sd15" and self.base.device.type == "cpu":
                calls = self.args.steps * sum(
                    (self.args.pairs + 1) * count + self.args.pairs for count in self.args.experts
                )
                least = calls * flops / (self.fast * 1e9) / 60
                print(f"{rows} images a step: this will take more than {least:.1f} minutes on a CPU", flush=True)
            self.run("plain", 1, replace(settings, steps=self.args.plain_steps))
            known = {
                count: self.measure("ours", count, settings, flops, self.args.pairs) for count in self.args.experts
            }
            if self.args.shape == "base" or self.base.device.type == "cuda":
                self.automatic(settings, flops, known)
            best[rows] = max(known.values(), key=lambda measured: measured.ratio)
            for count in self.args.vmap if method == "lora" else []:
                self.measure("vmap", count, settings, flops, min(3, self.args.pairs))
            if self.args.profile:
                for side, count, few in (("plain", 1, 4), ("ours", self.args.experts[-1], 12)):
                    print(f"{rows} images a step, {side}, {count} at once: operators by their own time")
                    with self.entered(side, count, replace(settings, steps=few)) as train:
                        print(breakdown(train, self.base.device), flush=True)
        return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="resources/models/base", help="base folder or hub id, for --shape base")
    parser.add_argument("--shape", choices=["base", "sd15"], default="base", help="the base's, or random weights")
    parser.add_argument("--size", type=int, help="side of the latents of --shape sd15 (64)")
    parser.add_argument("--method", choices=["lora", "full"], help="of the experts (lora, and full in one line)")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4], help="images an expert and step")
    parser.add_argument("--experts", type=int, nargs="+", help="experts at once (CPU 1 4 16 32, GPU 1 16 64 256)")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of calls for each number")
    parser.add_argument("--steps", type=int, help="optimiser steps of a call (CPU 10; GPU experts.steps' default)")
    parser.add_argument("--plain-steps", type=int, help="of a call of the plain loop (as --steps; GPU 5)")
    parser.add_argument("--vmap", type=int, nargs="*", help="experts at once under vmap; none: leave it out")
    parser.add_argument("--compile", action="store_true", help="torch.compile our side")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    args = parser.parse_args()
    if args.shape == "sd15" and args.method == "full":
        parser.error("--method full: a copy of 860M weights an expert; --shape sd15 is for LoRA")
    compute = Compute(compile=args.compile)
    device = prepare(compute)
    if args.experts is None:
        args.experts = [1, 4, 16, 32] if device.type == "cpu" else [1, 16, 64, 256]
    if args.steps is None:
        args.steps = 10 if device.type == "cpu" else Experts().steps
    if args.plain_steps is None:
        args.plain_steps = args.steps if device.type == "cpu" else min(5, args.steps)
    if args.vmap is None:
        args.vmap = [4 if device.type == "cpu" else 16] if args.shape == "base" else []
    base = load(args.shape, args.base, args.size).to(device)
    run = Comparison(base, args, compute)
    torch._dynamo.config.recompile_limit = 64  # a graph for each number of rows and experts
    print(f"precision {precision(compute, device)}, {torch.get_num_threads()} threads, product {run.fast:.0f} GFLOP/s")
    with compiled(run.ours.unet, compute):
        best = run.all_of(args.method or "lora")
        if args.method is None and args.shape == "base":
            settings = run.settings("full", Experts().batch_size)
            flops = step_flops(base, run.data, settings, compute)
            run.run("plain", 1, replace(settings, steps=args.plain_steps))
            run.measure("ours", FULL, settings, flops, min(3, args.pairs))
    rows = Experts().batch_size
    print(line("RATIO", list(best[rows if rows in best else args.rows[-1]].ratios)))


if __name__ == "__main__":
    main()
