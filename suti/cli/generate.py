"""``suti generate``: draw a subject, given by a few pictures, as prompts say (no optimisation)."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from suti.cli.config import read
from suti.config.schema import Config
from suti.diffusion.settings import Sampling
from suti.generation import studio
from suti.io.alt_text import words_of_name
from suti.io.images import FORMATS, SUFFIXES, BadImage, read_image

DESCRIPTION = """
Draw the subject of a folder of pictures in new scenes.

DIR holds a few pictures of one subject. Each picture has a short text that says what it shows: the file
PICTURE.txt beside PICTURE.jpg, else --text, else the folder's name ("red_backpack2" reads as "red backpack").
With --caption, models.captioner writes and prints the text of each picture that has no PICTURE.txt.
The apprentice looks at the pictures while it draws; nothing is fine-tuned. Pictures are taken by name order.
"""

EPILOG = """
examples:
  suti generate --demonstrations photos/red_backpack --prompt "a red backpack on a beach" --out beach.png

  several prompts, three pictures each, as one sheet (a row a prompt):
    suti generate --demonstrations photos/red_backpack --text "a red backpack" --images 3 --out sheet.png \\
        --prompt "a red backpack in the snow" --prompt "a painting of a red backpack"

  texts suggested by the captioner (to change one, write it to PICTURE.txt):
    suti generate --demonstrations photos/red_backpack --caption --prompt "a red backpack on a beach" --out x.png

  another apprentice of the lambda ablation, stronger guidance, another draw:
    suti generate --demonstrations photos/red_backpack --prompt "a red backpack on a beach" --out beach.png \\
        --model results/apprentice/none --guidance-scale 6 --seed 1

  an overlay's apprentice and settings:
    suti generate --configfile configs/sd15.yaml --demonstrations photos/dog --prompt "a dog" --out x.png

The same seed, prompt and pictures give the same file. How it was drawn is kept in the PNG (key "suti").
The subject is encoded once for all prompts.
"""
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
    words = parser.add_mutually_exclusive_group()
    words.add_argument("--text", help="text of the pictures that have no .txt beside them")
    words.add_argument("--caption", action="store_true", help="let models.captioner write the missing texts")
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
        help="guidance weight of the prompt (default: evaluation.guidance_scale)",
    )
    add(
        "--demonstration-guidance-scale",
        type=_scale,
        metavar="W",
        help="guidance weight of the pictures (default: evaluation.demonstration_guidance_scale)",
    )
    add("--steps", type=_positive, metavar="N", help="DDPM steps (default: evaluation.num_inference_steps)")
    add("--seed", type=int, help="number of the draw (default: seed of the configuration)")
    add(
        "--upscale",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="enlarge with the stages of models.super_resolution, if there are any (default: yes)",
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
    folder = studio.model_folder(options.model, config)
    files, demonstrations = read_demonstrations(
        options.demonstrations,
        options.text,
        count=options.count or config.evaluation.demonstrations,
        max_pixels=config.pages.max_pixels,
    )
    if options.caption:
        demonstrations = _captioned(files, demonstrations, config)
    asked = {
        name: value
        for name, value in (
            ("guidance_scale", options.guidance_scale),
            ("demonstration_guidance_scale", options.demonstration_guidance_scale),
            ("num_inference_steps", options.steps),
        )
        if value is not None
    }
    wish = studio.Wish(
        prompt="",
        sampling=replace(Sampling.of(config.evaluation), **asked),
        seed=config.seed if options.seed is None else options.seed,
        upscale=options.upscale,
    )
    pipeline = studio.load_pipeline(folder, config.compute)
    stages = config.models.super_resolution if options.upscale else []
    models = studio.Studio(pipeline, studio.load_upscaler(stages, config.compute, pipeline))
    rows: list[list[Image.Image]] = []
    steps = len(options.prompt) * options.images * wish.sampling.num_inference_steps
    with tqdm(total=steps, desc="drawing", unit="step", disable=None, leave=False) as bar:  # None: terminals only

        def drawing(step: int) -> None:
            bar.set_description("drawing", refresh=False)
            bar.update()

        def enlarging(stage: int, count: int) -> None:
            bar.set_description(f"enlarging {stage} of {count}")

        for prompt in options.prompt:
            wished = replace(wish, prompt=prompt)
            drawn = [models.draw(wished, demonstrations, n, drawing, enlarging) for n in range(options.images)]
            rows.append([Image.fromarray(picture) for picture in drawn])
    settings = {
        "model": str(folder),
        "prompts": options.prompt,
        "texts": [text for _, text in demonstrations],
        **wish.record(),
        "seed": wish.seed,
        "super_resolution": models.enlarged_by(wish),
    }
    pictures = [picture for row in rows for picture in row]
    whole = pictures[0] if len(pictures) == 1 else sheet(rows, options.prompt)
    studio.save_png(options.out, whole, settings)
    print(f"{options.out.resolve()}: {len(pictures)} of {pictures[0].width} x {pictures[0].height} pixels")
    return 0


def read_demonstrations(
    folder: Path, text: str | None, count: int, max_pixels: int
) -> tuple[list[Path], list[Demonstration]]:
    """The first ``count`` picture files of a folder, and their pictures, RGB, each with its text.

    Raises:
        ValueError: no folder, no picture in it, or one that cannot be decoded (the message names it).
    """
    if not folder.is_dir():
        seen = "a file" if folder.exists() else "no such folder"
        raise ValueError(f"--demonstrations: {folder}: {seen}; expected a folder of pictures of one subject")
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))
    if not files:
        raise ValueError(f"--demonstrations: {folder}: no pictures ({', '.join(FORMATS)}) in it; add 1 to {count}")
    spoken = words_of_name(folder.resolve().name)
    result: list[Demonstration] = []
    for file in files[:count]:
        try:
            picture = Image.fromarray(read_image(file, max_pixels=max_pixels))
        except BadImage as error:
            raise ValueError(f"--demonstrations: {file}: {error}; replace or remove it") from None
        result.append((picture, _note(file) or text or spoken))
    return files[:count], result


def _note(file: Path) -> str:
    """The text beside a picture, or an empty string."""
    note = file.with_suffix(".txt")
    return " ".join(note.read_text(encoding="utf-8", errors="replace").split()) if note.is_file() else ""


def _captioned(files: list[Path], demonstrations: list[Demonstration], config: Config) -> list[Demonstration]:
    """Demonstrations with the captioner's words where no text lies beside a picture; each is printed."""
    bare = [number for number, file in enumerate(files) if not _note(file)]
    result = list(demonstrations)
    if not bare:
        return result
    captioner = studio.load_captioner(config.models.captioner, config.compute)
    words = captioner.caption(
        [np.asarray(result[number][0]) for number in bare], max_new_tokens=config.captions.max_new_tokens
    )
    for number, text in zip(bare, words, strict=True):
        picture, fallback = result[number]
        result[number] = (picture, text or fallback)
        print(f"{files[number].name}: {text or fallback}")
    return result


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
