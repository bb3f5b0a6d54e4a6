"""Labelled contact sheets of the world, for the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from suti.world.render import render
from suti.world.scenes import Pose, Scene, sample_scene
from suti.world.subjects import Subject, keyed_rng, sample_subject
from suti.world.vocabulary import ACCESSORIES, BACKGROUNDS, CLASSES, EFFECTS, PHOTO, STYLES

Cell = tuple[Subject, Scene]


def draw_sheet(
    rows: Sequence[tuple[str, Sequence[Cell]]], columns: Sequence[str] = (), *, size: int = 64, scale: int = 2
) -> Image.Image:
    """A grid of pictures with a label at the left of each row and above each column, where given."""
    font = ImageFont.load_default(size=13)
    tile = size * scale
    left = 8 + int(max(font.getlength(label) for label, _ in rows)) + 8
    top = 22 if columns else 4
    width = left + max(len(cells) for _, cells in rows) * (tile + 2) + 2
    sheet = Image.new("RGB", (width, top + len(rows) * (tile + 2) + 2), "white")
    pen = ImageDraw.Draw(sheet)
    for j, label in enumerate(columns):
        pen.text((left + j * (tile + 2) + tile / 2, 4), label, fill="black", font=font, anchor="ma")
    for i, (label, cells) in enumerate(rows):
        y = top + i * (tile + 2)
        pen.text((left - 8, y + tile / 2), label, fill="black", font=font, anchor="rm")
        images, _ = render([subject for subject, _ in cells], [scene for _, scene in cells], size)
        for j, image in enumerate(images):
            big = Image.fromarray(image).resize((tile, tile), Image.Resampling.NEAREST)
            sheet.paste(big, (left + j * (tile + 2), y))
    return sheet


def _plain(rng: np.random.Generator, background: str, **fields: object) -> Scene:
    """A scene with nothing but what is given."""
    asked = {"accessory": None, "style": PHOTO, "recolour": None, "effect": None, **fields}
    return sample_scene(rng, background=background, **asked)  # type: ignore[arg-type]


def sheets(seed: int = 0, *, size: int = 64, scale: int = 2) -> dict[str, Image.Image]:
    """classes, identities, backgrounds, accessories and styles, by name."""
    rng = keyed_rng("sheets", seed)
    first = {name: sample_subject(f"sheets-{seed}", i, name) for i, name in enumerate(CLASSES)}
    names = list(CLASSES)
    places = list(BACKGROUNDS)

    def several(label: str, make: object) -> tuple[str, list[Cell]]:
        return label, [(first[name], make(i)) for i, name in enumerate(names)]  # type: ignore[operator]

    def place(i: int) -> str:
        return places[(7 * i) % len(places)]

    grids: dict[str, tuple[list[tuple[str, list[Cell]]], list[str]]] = {}
    grids["classes"] = (
        [(name, [(first[name], sample_scene(rng)) for _ in range(10)]) for name in CLASSES],
        [],
    )
    grids["identities"] = (
        [
            (
                name,
                [
                    (
                        sample_subject(f"sheets-{seed}", 100 + 20 * i + j, name),
                        Scene("white_rug", pose=Pose()),
                    )
                    for j in range(10)
                ],
            )
            for i, name in enumerate(CLASSES)
        ],
        [],
    )
    grids["backgrounds"] = (
        [
            (phrase, [(first[names[(i + 5 * j) % len(names)]], _plain(rng, key)) for j in range(6)])
            for i, (key, phrase) in enumerate(BACKGROUNDS.items())
        ],
        [],
    )
    grids["accessories"] = (
        [several(text, lambda i, k=key: _plain(rng, place(i), accessory=k)) for key, text in ACCESSORIES.items()],
        names,
    )
    rows = [several("photo", lambda i: _plain(rng, place(i)))]
    rows += [several(text, lambda i, k=key: _plain(rng, place(i), style=k)) for key, text in STYLES.items()]
    rows += [several(t.format("..."), lambda i, k=k: _plain(rng, place(i), effect=k)) for k, t in EFFECTS.items()]
    rows += [several(f"a {c} ...", lambda i, c=c: _plain(rng, place(i), recolour=c)) for c in ("red", "purple")]
    grids["styles"] = (rows, names)
    return {name: draw_sheet(*grid, size=size, scale=scale) for name, grid in grids.items()}


def write_sheets(out_dir: str | Path, seed: int = 0, *, size: int = 64, scale: int = 2) -> list[Path]:
    """Writes `world_<name>.png` for every sheet; returns the paths."""
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, sheet in sheets(seed, size=size, scale=scale).items():
        paths.append(folder / f"world_{name}.png")
        sheet.save(paths[-1])
    return paths
