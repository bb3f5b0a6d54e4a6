"""What demonstrations cost: one SuTI call with 4 demonstrations against the base's own call, same prompt and steps.

    python benchmarks/apprentice.py [--base FOLDER] [--pairs N]

Both sides run in turn in this process, after a warm-up of each. Prints every pair's ratio, the ratio without encoding
the subject once beforehand, the training step's ratio, and last the line
``RATIO <median> (min <a>, max <b>, n <k>)``: time of the call with a subject encoded once over the base's call.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from suti.apprentice import new_apprentice
from suti.compute import autocast, prepare
from suti.config.schema import Apprentice, Compute
from suti.diffusion.losses import denoising_loss
from suti.models.base import load_base
from suti.models.pipeline import SuTIPipeline


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def ratios(ours: Callable[[], object], theirs: Callable[[], object], pairs: int) -> list[float]:
    """Ratio of the two calls' times, pair by pair, the order swapped from pair to pair."""
    ours(), theirs()
    found = []
    for number in range(pairs):
        first, second = (ours, theirs) if number % 2 else (theirs, ours)
        a, b = seconds(first), seconds(second)
        found.append(a / b if number % 2 else b / a)
    return found


def line(name: str, values: list[float]) -> str:
    """One result: median, smallest, largest, count."""
    return f"{name} {statistics.median(values):.3f} (min {min(values):.3f}, max {max(values):.3f}, n {len(values)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="resources/models/base", help="base folder or hub id")
    parser.add_argument("--pairs", type=int, default=15, help="pairs of calls")
    parser.add_argument("--images", type=int, default=8, help="pictures a call")
    args = parser.parse_args()
    compute = Compute()
    device = prepare(compute)
    base = load_base(args.base).to(device)
    settings = Apprentice(initialization="random")
    unet = new_apprentice(base, settings, 0).to(device).eval()
    apprentice = SuTIPipeline(unet, base.text_encoder, base.tokenizer, base.scheduler, base.vae)
    plain = SuTIPipeline(base.unet, base.text_encoder, base.tokenizer, base.scheduler, base.vae)
    rng = np.random.default_rng(0)
    shown = [(rng.integers(0, 256, (base.image_size,) * 2 + (3,), dtype=np.uint8), "a teapot") for _ in range(4)]
    prompts = ["a teapot in the snow"] * args.images
    common = {"num_inference_steps": 20, "output_type": "np"}

    def call(pipe: SuTIPipeline, demonstrations: object) -> None:
        with autocast(compute, device):
            pipe(prompts, demonstrations, generator=torch.Generator().manual_seed(0), **common)

    with autocast(compute, device):
        encoded = apprentice.encode_subject(shown)
    print(
        line(
            "call, subject encoded in the call:",
            ratios(lambda: call(apprentice, shown), lambda: call(plain, ()), args.pairs),
        )
    )

    rows, k = 32, settings.demonstrations
    side, channels = base.unet.config.sample_size, base.unet.config.in_channels
    x, noise = torch.randn(2, rows, channels, side, side, device=device)
    pictures = torch.randn(rows // settings.targets_per_subject * k, channels, side, side, device=device)
    timesteps = torch.randint(1000, (rows,), device=device)
    text, texts = base.encode_text(["a teapot"] * rows), base.encode_text(["a teapot"] * len(pictures))

    def train(network: torch.nn.Module, with_demonstrations: bool) -> None:
        network.requires_grad_(True)
        with autocast(compute, device):
            extra = {}
            if with_demonstrations:
                extra = {"cross_attention_kwargs": {"demonstrations": unet.encode_demonstrations(pictures, texts, k)}}
            predict = lambda noisy, t: network(noisy, t, text, return_dict=False, **extra)[0]  # noqa: E731
            denoising_loss(predict, base.scheduler, x, noise, timesteps).mean().backward()
        network.zero_grad(set_to_none=True)

    steps = ratios(lambda: train(unet, True), lambda: train(base.unet, False), args.pairs)
    print(line(f"training step, {k} demonstrations a subject, {settings.targets_per_subject} targets:", steps))
    unet.requires_grad_(False), base.unet.requires_grad_(False)
    print(line("RATIO", ratios(lambda: call(apprentice, encoded), lambda: call(plain, ()), args.pairs)))


if __name__ == "__main__":
    main()
