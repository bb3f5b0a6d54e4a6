"""What demonstrations cost: one SuTI call with 4 demonstrations against the base's own call, same prompt and steps.

    python benchmarks/apprentice.py [--base FOLDER] [--pairs N] [--images N] [--steps N]

Both sides run in turn in this process, after a warm-up of each. Prints the ratios, over the base's call, of a call
that encodes the subject itself and of one without the cache (keys and values computed again at every step and for
each half of guidance); the training step's ratio; the speed of a real training on tar shards and the share of its time
spent waiting for data; and last the line ``RATIO <median> (min <a>, max <b>, n <k>)``: time of the call with a
subject encoded once over the base's call.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from suti.apprentice import Subject, Trainer, new_apprentice, train_apprentice
from suti.compute import autocast, prepare
from suti.config.schema import Apprentice, Compute
from suti.diffusion.losses import denoising_loss
from suti.io.picture_store import PictureStore
from suti.io.shards import encode_png, write_shard
from suti.models.apprentice_unet import ApprenticeUNet
from suti.models.base import BaseModel, load_base
from suti.models.codec import to_tensor
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


@contextmanager
def without_cache(unet: ApprenticeUNet, x_start: torch.Tensor, texts: torch.Tensor, images: int) -> Iterator[None]:
    """Inside, every forward pass encodes the demonstrations again, once for each half of guidance.

    Args:
        x_start: ``(k, C, h, w)`` and texts ``(k, L, D)`` of the subject; images: rows of one half.
    """
    forward, k = unet.forward, len(x_start)

    def again(x: torch.Tensor, *args: Any, cross_attention_kwargs: Any, **kwargs: Any) -> Any:
        halves = len(x) // images
        seen = unet.encode_demonstrations(x_start.repeat(halves, 1, 1, 1), texts.repeat(halves, 1, 1), k)
        present = cross_attention_kwargs["demonstrations"].present
        condition = {**cross_attention_kwargs, "demonstrations": seen.with_present(present)}
        return forward(x, *args, cross_attention_kwargs=condition, **kwargs)

    unet.forward = again
    try:
        yield
    finally:
        del unet.forward


def write_shards(folder: Path, size: int, subjects: int = 64, shards: int = 4) -> list[Subject]:
    """A G of noise, which is slower to decode than pictures: samples of ``size``, demonstrations of twice that."""
    rng = np.random.default_rng(0)
    made = []
    for shard in range(shards):
        members: dict[str, list[tuple[str, bytes]]] = {"samples": [], "images": []}
        for number in range(shard, subjects, shards):
            keys = {"samples": [f"{number}-y{i}" for i in range(6)], "images": [f"{number}-x{i}" for i in range(5)]}
            for name, side in (("samples", size), ("images", 2 * size)):
                for key in keys[name]:
                    picture = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
                    members[name].append((f"{key}.png", encode_png(picture)))
            shown = tuple((key, "a teapot") for key in keys["images"])
            targets = tuple((key, "a teapot") for key in keys["samples"])
            made.append(Subject(str(number), shown, targets))
        for name, content in members.items():
            write_shard(folder / f"{name}-{shard}.tar", content)
    return made


def training_speed(base: BaseModel, compute: Compute, steps: int, workers: int) -> tuple[float, float]:
    """Training images a second (median step), and the share of time spent waiting for data, on real tar shards.

    The store keeps no picture, so every one is read and decoded, as in a G much larger than memory.
    """
    settings = Apprentice(steps=steps, loader_workers=workers)
    trainer = Trainer(new_apprentice(base, settings, 0).to(base.device), base, settings, compute, 0)
    times: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subjects = write_shards(folder, base.image_size)
        stores = [PictureStore(sorted(folder.glob(f"{kind}-*.tar")), keep_bytes=0) for kind in ("samples", "images")]
        train_apprentice(trainer, subjects, *stores, folder / "none", lambda _: times.append(time.perf_counter()))
    rows = settings.subjects_per_batch * settings.targets_per_subject
    return rows / statistics.median(np.diff(times)), trainer.waited


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="resources/models/base", help="base folder or hub id")
    parser.add_argument("--pairs", type=int, default=15, help="pairs of calls")
    parser.add_argument("--images", type=int, default=8, help="pictures a call")
    parser.add_argument("--steps", type=int, default=30, help="steps of the training on tar shards")
    args = parser.parse_args()
    compute = Compute()
    device = prepare(compute)
    base = load_base(args.base).to(device)
    settings = Apprentice(initialization="random")
    unet = new_apprentice(base, settings, 0).to(device).eval()
    apprentice, plain = SuTIPipeline.of(base.with_network(unet)), SuTIPipeline.of(base)
    rng = np.random.default_rng(0)
    shown = [(rng.integers(0, 256, (base.image_size,) * 2 + (3,), dtype=np.uint8), "a teapot") for _ in range(4)]
    prompts = ["a teapot in the snow"] * args.images
    common = {"num_inference_steps": 20, "output_type": "np"}

    def call(pipe: SuTIPipeline, demonstrations: object) -> None:
        with autocast(compute, device):
            pipe(prompts, demonstrations, generator=torch.Generator().manual_seed(0), **common)

    with autocast(compute, device):
        encoded = apprentice.encode_subject(shown)
        x_start = base.codec.encode(torch.stack([to_tensor(p, base.image_size) for p, _ in shown]).to(device))
        captions = base.encode([text for _, text in shown]).hidden_states
    print(
        line(
            "call, subject encoded in the call:",
            ratios(lambda: call(apprentice, shown), lambda: call(plain, ()), args.pairs),
        )
    )
    with without_cache(unet, x_start, captions, args.images):
        repeated = ratios(lambda: call(apprentice, encoded), lambda: call(plain, ()), args.pairs)
    print(line("call, no cache (encoded at every step, for each half):", repeated))

    rows, k = 32, settings.demonstrations
    x, noise = torch.randn(2, rows, *base.shape, device=device)
    pictures = torch.randn(rows // settings.targets_per_subject * k, *base.shape, device=device)
    timesteps = torch.randint(1000, (rows,), device=device)
    text, texts = base.encode(["a teapot"] * rows), base.encode(["a teapot"] * len(pictures))

    def train(model: BaseModel, with_demonstrations: bool) -> None:
        model.network.requires_grad_(True)
        with autocast(compute, device):
            seen = model.encode_references(pictures, texts, k) if with_demonstrations else None
            predict = lambda noisy, t: model.predict(noisy, t, text, seen)  # noqa: E731
            denoising_loss(predict, model.schedule, x, noise, timesteps).mean().backward()
        model.network.zero_grad(set_to_none=True)

    steps = ratios(lambda: train(apprentice.base, True), lambda: train(base, False), args.pairs)
    print(line(f"training step, {k} demonstrations a subject, {settings.targets_per_subject} targets:", steps))
    unet.requires_grad_(False), base.unet.requires_grad_(False)
    for workers in (1, 0):
        speed, waited = training_speed(base, compute, args.steps, workers)
        print(f"training on tar shards, {workers} loader threads: {speed:.1f} images/s, waiting for data {waited:.2%}")
    print(line("RATIO", ratios(lambda: call(apprentice, encoded), lambda: call(plain, ()), args.pairs)))


if __name__ == "__main__":
    main()
