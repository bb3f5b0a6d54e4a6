"""What the small models can do, on held-out renders: the figures and sheets of docs/ about them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from suti.config.schema import Compute
from suti.models.captioner import load_captioner
from suti.models.super_resolution import PixelSuperResolution
from suti.small_models.captioner import evaluate_captioner
from suti.small_models.clip import evaluate_clip
from suti.small_models.corruptions import CORRUPTIONS
from suti.small_models.dino import evaluate_dino
from suti.small_models.judging import base_samples, held_out, probe_figures, relative_residue, shrink
from suti.small_models.probe import evaluate_probe
from suti.small_models.probe_network import Probe, load_probe
from suti.small_models.super_resolution import bicubic, evaluate_super_resolution, low_and_high
from suti.small_models.views import draw_views, seeded, to_tensor


def figures(models: Path, seed: int) -> dict[str, Any]:
    """Held-out figures of every model folder that is there, by name."""
    found: dict[str, Any] = {}
    if (models / "probe").is_dir():
        probe = load_probe(models / "probe")
        found["probe"] = evaluate_probe(probe, seed)
        if (models / "base").is_dir():
            found["base"] = evaluate_base(models / "base", probe, seed)
    for name, evaluate in (
        ("clip", evaluate_clip),
        ("dino", evaluate_dino),
        ("captioner", evaluate_captioner),
        ("super_resolution", evaluate_super_resolution),
    ):
        if (models / name).is_dir():
            found[name] = evaluate(models / name, seed)
    for name, row in found.items():
        row["megabytes"] = round(megabytes(models / name), 2)
    return found


def megabytes(folder: Path) -> float:
    """Size of all files of a folder, MB of 2**20 bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def evaluate_base(folder: Path, probe: Probe, seed: int, count: int = 96) -> dict[str, Any]:
    """The base's own pictures and true renders before the probe, and their two-pixel residue."""
    prompts, truth = held_out(seed, count)
    images = base_samples(folder, prompts, seed)
    real = shrink(truth, images.shape[1])
    rows = {"samples": images, "true_renders": real}
    return {
        name: probe_figures(pictures, prompts, probe)
        | {"two_pixel_residue": round(relative_residue(pictures, real), 4)}
        for name, pictures in rows.items()
    }


def sheets(models: Path, seed: int, folder: Path, compute: Compute) -> list[Path]:
    """Write the sheets of super-resolution, captions and the probe's realism. Returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, make in (
        ("super_resolution", upscaling_sheet),
        ("captioner", partial(caption_sheet, compute=compute)),
        ("probe", realism_sheet),
    ):
        if (models / name).is_dir():
            path = folder / f"models_{name}.png"
            make(models / name, seed).save(path, optimize=True)
            written.append(path)
    return written


def tile(
    rows: list[list[np.ndarray]], size: int, captions: list[list[str]] | None = None, label: int = 0
) -> Image.Image:
    """Pictures in a grid, each ``size`` wide without smoothing, ``label`` pixels of text below each."""
    gap = 3
    width = max(len(row) for row in rows) * (size + gap) + gap
    sheet = Image.new("RGB", (width, len(rows) * (size + label + gap) + gap), "white")
    pen = ImageDraw.Draw(sheet)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            left, top = gap + x * (size + gap), gap + y * (size + label + gap)
            sheet.paste(Image.fromarray(image).resize((size, size), Image.Resampling.NEAREST), (left, top))
            if captions:
                pen.multiline_text((left, top + size + 1), captions[y][x], fill="black", font_size=10, spacing=1)
    return sheet


def upscaling_sheet(folder: Path, seed: int) -> Image.Image:
    """Rows: 64 px, bicubic, the stage, the true 256 px render."""
    low, high = low_and_high(("held out", "super_resolution", seed, "sheet"), 5)
    stage = PixelSuperResolution.from_pretrained(folder)
    return tile([list(low), list(bicubic(low)), list(stage.upscale(low)), list(high)], 256)


def caption_sheet(folder: Path, seed: int, compute: Compute) -> Image.Image:
    """Held-out renders with the captioner's words."""
    from textwrap import fill

    images = draw_views("held out", "captioner", seed, "sheet", subjects=12, views=1, size=64).flat()[0]
    texts = [fill(text, 24) for text in load_captioner(str(folder.resolve()), compute).caption(list(images))]
    return tile([list(images[:6]), list(images[6:])], 128, [texts[:6], texts[6:]], label=54)


def realism_sheet(folder: Path, seed: int) -> Image.Image:
    """One corruption a row at rising severity, with the probe's realism below each picture."""
    probe = load_probe(folder)
    severities = (0.0, 0.25, 0.5, 0.75, 1.0)
    renders = draw_views("held out", "probe", seed, "sheet", subjects=len(CORRUPTIONS), views=1).flat()[0]
    clean = to_tensor(renders)
    rows, words = [], []
    for index, corruption in enumerate(CORRUPTIONS):
        pictures = []
        for severity in severities:
            s = torch.full((2, 1, 1, 1), severity)
            pair = clean[[index, (index + 1) % len(clean)]]  # a ghost needs a second picture
            with seeded(seed, "sheet", index):
                x = corruption(pair, s)[0] if severity else clean[index]
            pixels = ((x.clamp(-1, 1) + 1) * 127.5).round().permute(1, 2, 0).to(torch.uint8).numpy()
            pictures.append(pixels)
        scores = probe.look(pictures).realism.sigmoid().tolist()
        rows.append(pictures)
        words.append([f"{corruption.__name__[:7]} {v:.2f}: {p:.2f}" for v, p in zip(severities, scores, strict=True)])
    return tile(rows, 128, words, label=14)
