"""``suti generate``: draw a subject, given by a few pictures, as prompts say (no optimisation)."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from suti.cli.config import read
from suti.config.schema import Compute, Config
from suti.images import FORMATS, BadImage, read_image
from suti.io.atomic import atomic_path
from suti.seeds import torch_generator

DESCRIPTION = """
Draw the subject of a folder of pictures in new scenes.

DIR holds a few pictures of one subject. Each picture has a short text that says what it shows: the file
PICTURE.txt beside PICTURE.jpg, else --text, else the folder's name ("red_backpack" reads as "red backpack").
The apprentice looks at the pictures while it draws; nothing is fine-tuned. Pictures are taken by name order.
"""

EPILOG = """
examples:
  suti generate --demonstrations photos/red_backpack --prompt "a red backpack on a beach" --out beach.png

  several prompts, three pictures each, as one sheet (a row a prompt):
    suti generate --demonstrations photos/red_backpack --text "a red backpack" --images 3 --out sheet.png \\
        --prompt "a red backpack in the snow" --prompt "a painting of a red backpack"

  another apprentice of the lambda ablation, stronger guidance, another draw:
    suti generate --demonstrations photos/red_backpack --prompt "a red backpack on a beach" --out beach.png \\
        --model results/apprentice/none --guidance-scale 6 --seed 1

  an overlay's apprentice and settings:
    suti generate --configfile configs/sd15.yaml --demonstrations photos/dog --prompt "a dog" --out x.png

The same seed, prompt and pictures give the same file. How it was drawn is kept in the PNG (key "suti").
"""
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
GAP = 4
"""Pixels between the pictures of a sheet."""

Demonstration = tuple[Image.Image, str]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "generate",
        help="draw the subject of a folder of pictures as a prompt says",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--demonstrations", type=Path, required=True, metavar="DIR", help="folder of pictures of one subject")
    add(
        "--prompt",
        action="append",
        required=True,
        metavar="TEXT",
        help="what to draw; may be given several times",
    )
    add("--out", type=Path, required=True, metavar="FILE.png", help="picture, or sheet if there are several")
    add("--text", help="text of the pictures that have no .txt beside them")
    add(
        "--count",
        type=_positive,
        metavar="N",
        help="pictures used, the first N (default: evaluation.demonstrations)",
    )
    add("--images", type=_positive, default=1, metavar="N", help="pictures drawn for each prompt (default: 1)")
    add(
        "--model",
        type=Path,
        help="apprentice folder (default: results/apprentice/LAMBDA of the configuration)",
    )
    add(
        "--guidance-scale",
        type=_scale,
        metavar="W",
        help="guidance weight (default: evaluation.guidance_scale)",
    )
    add("--steps", type=_positive, metavar="N", help="DDPM steps (default: evaluation.num_inference_steps)")
    add("--seed", type=int, help="number of the draw (default: seed of the configuration)")
    add(
        "--upscale",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="enlarge with models.super_resolution, if the configuration names one (default: yes)",
    )
    add(
        "--configfile",
        nargs="+",
        default=[],
        metavar="FILE",
        help="YAML files, merged in order over config.yaml",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; returns the exit status."""
    config = read(options.configfile)
    if options.out.suffix.lower() != ".png":
        raise ValueError(f"--out: {str(options.out)!r}, expected a name that ends in .png")
    if any(not prompt.strip() for prompt in options.prompt):
        raise ValueError("--prompt: empty, expected what to draw, e.g. 'a red backpack on a beach'")
    folder = model_folder(options.model, config)
    demonstrations = read_demonstrations(
        options.demonstrations,
        options.text,
        count=options.count or config.evaluation.demonstrations,
        max_pixels=config.pages.max_pixels,
    )
    scale = config.evaluation.guidance_scale if options.guidance_scale is None else options.guidance_scale
    settings = {
        "model": str(folder),
        "prompts": options.prompt,
        "texts": [text for _, text in demonstrations],
        "guidance_scale": scale,
        "dynamic_thresholding": config.evaluation.dynamic_thresholding,
        "num_inference_steps": options.steps or config.evaluation.num_inference_steps,
        "seed": config.seed if options.seed is None else options.seed,
    }
    spec = config.models.super_resolution if options.upscale else None
    settings["super_resolution"] = spec
    enlarge = load_upscaler(spec, config.compute) if spec else None
    pipeline = load_pipeline(folder, config.compute)
    rows = [
        [_draw(pipeline, enlarge, prompt, demonstrations, settings, index) for index in range(options.images)]
        for prompt in options.prompt
    ]
    pictures = [picture for row in rows for picture in row]
    whole = pictures[0] if len(pictures) == 1 else sheet(rows, options.prompt)
    note = PngInfo()
    note.add_itxt("suti", json.dumps(settings, ensure_ascii=False))
    with atomic_path(options.out) as part:
        whole.save(part, format="PNG", pnginfo=note)
    print(f"{options.out.resolve()}: {len(pictures)} of {pictures[0].width} x {pictures[0].height} pixels")
    return 0


def model_folder(chosen: Path | None, config: Config) -> Path:
    """The apprentice's folder: ``chosen``, else the one that the configuration's run makes.

    Raises:
        ValueError: there is none, with the remedy.
    """
    folder = chosen or Path(config.results) / "apprentice" / config.filtering.default
    if (folder / "model_index.json").is_file():
        return folder
    if chosen is not None:
        seen = "no such folder" if not folder.exists() else "no model_index.json in it"
        raise ValueError(f"--model: {folder}: {seen}; expected an apprentice, e.g. {config.results}/apprentice/none")
    raise ValueError(f"{folder}: no apprentice there yet; train it with `make run`, or name another with --model")


def read_demonstrations(folder: Path, text: str | None, count: int, max_pixels: int) -> list[Demonstration]:
    """The first ``count`` pictures of a folder, RGB, each with its text.

    Raises:
        ValueError: no folder, no picture in it, or one that cannot be decoded (the message names it).
    """
    if not folder.is_dir():
        seen = "a file" if folder.exists() else "no such folder"
        raise ValueError(f"--demonstrations: {folder}: {seen}; expected a folder of pictures of one subject")
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))
    if not files:
        raise ValueError(f"--demonstrations: {folder}: no pictures ({', '.join(FORMATS)}) in it; add 1 to {count}")
    spoken = " ".join(folder.resolve().name.replace("_", " ").replace("-", " ").split())
    result: list[Demonstration] = []
    for file in files[:count]:
        try:
            picture = Image.fromarray(read_image(file, max_pixels=max_pixels))
        except BadImage as error:
            raise ValueError(f"--demonstrations: {file}: {error}; replace or remove it") from None
        note = file.with_suffix(".txt")
        words = " ".join(note.read_text(encoding="utf-8", errors="replace").split()) if note.is_file() else ""
        result.append((picture, words or text or spoken))
    return result


def load_pipeline(folder: Path, compute: Compute) -> Any:
    """The apprentice as a pipeline, on the configured device."""
    import torch

    from suti.devices import pick_device
    from suti.models.pipeline import SuTIPipeline

    torch.set_num_threads(compute.threads)
    return SuTIPipeline.from_pretrained(str(folder)).to(pick_device(compute))


def load_upscaler(spec: str, compute: Compute) -> Any:
    """The super-resolution stage of a folder or hub id."""
    from suti.models.super_resolution import load_super_resolution

    return load_super_resolution(spec, compute)


def sheet(rows: list[list[Image.Image]], labels: list[str]) -> Image.Image:
    """One picture of several: a row a prompt, its label above it."""
    width, height = rows[0][0].size
    line = 16
    columns = max(len(row) for row in rows)
    longest = math.ceil(max(ImageDraw.Draw(rows[0][0]).textlength(label) for label in labels))
    size = (max(columns * (width + GAP), longest + GAP) + GAP, len(rows) * (height + line + GAP) + GAP)
    result = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(result)
    for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
        top = GAP + i * (height + line + GAP)
        draw.text((GAP, top), label, fill="black")
        for j, picture in enumerate(row):
            result.paste(picture, (GAP + j * (width + GAP), top + line))
    return result


def _draw(
    pipeline: Any,
    enlarge: Any,
    prompt: str,
    demonstrations: list[Demonstration],
    settings: dict[str, Any],
    index: int,
) -> Image.Image:
    # keyed by prompt and number, so a prompt's pictures do not depend on what else the command asks for
    output = pipeline(
        prompt,
        demonstrations=demonstrations,
        num_inference_steps=settings["num_inference_steps"],
        guidance_scale=settings["guidance_scale"],
        dynamic_thresholding=settings["dynamic_thresholding"],
        generator=torch_generator(settings["seed"], "generate", prompt, index),
    )
    picture = np.asarray(output.images[0])
    if enlarge is not None:
        noise = torch_generator(settings["seed"], "super_resolution", prompt, index)
        picture = enlarge.upscale(picture[None], [prompt], generator=noise)[0]
    return Image.fromarray(picture)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 1")
    return int(text)


def _scale(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number from 0, e.g. 3")
    return number
