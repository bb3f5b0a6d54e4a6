"""Sheets of pictures, as in Figs. 1 and 4 to 9: rows of cells with readable labels, drawn pixel by pixel.

Small pictures are enlarged by whole factors without smoothing, so a sheet shows the pixels that the models
made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from suti.figures.style import GREY, INK, LIGHT
from suti.io.atomic import atomic_path

CELL, GAP, MARGIN, BLOCK_GAP = 128, 8, 18, 26
COLUMNS = ["row", "column", "run", "sample_id", "subject_id", "prompt_id", "prompt", "label"]


@dataclass(frozen=True)
class Cell:
    """One picture of a sheet: uint8 (H, W, 3) or None for an empty place, with the lines printed under it.

    ``source`` goes into the CSV: run, sample_id, subject_id, prompt_id, prompt. ``frame`` colours the border.
    """

    image: np.ndarray | None = None
    label: str = ""
    frame: str | None = None
    source: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sheet:
    """A titled grid. ``headers`` stand over the columns; ``blocks`` are column indices before which a gap
    opens.

    ``row_labels`` are printed at the left; ``note`` below the title says how the rows were chosen.
    """

    title: str
    rows: list[list[Cell]]
    headers: Sequence[str] = ()
    row_labels: Sequence[str] = ()
    note: str = ""
    blocks: frozenset[int] = frozenset()


def table(sheet: Sheet) -> pd.DataFrame:
    """What a sheet shows, one row a picture, for the CSV beside it."""
    rows = [
        {"row": r, "column": c, "label": cell.label, **cell.source}
        for r, cells in enumerate(sheet.rows)
        for c, cell in enumerate(cells)
        if cell.image is not None
    ]
    return pd.DataFrame(rows, columns=COLUMNS).fillna("")


def enlarge(image: np.ndarray, size: int = CELL) -> Image.Image:
    """Fit a picture into a square of ``size`` pixels: whole-number enlargement, or smooth reduction of
    larger ones."""
    height, width = image.shape[:2]
    picture = Image.fromarray(image)
    if max(height, width) > size:
        scale = size / max(height, width)
        fitted = picture.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.LANCZOS)
    else:
        factor = size // max(height, width)
        fitted = picture.resize((width * factor, height * factor), Image.Resampling.NEAREST)
    square = Image.new("RGB", (size, size), "white")
    square.paste(fitted, ((size - fitted.width) // 2, (size - fitted.height) // 2))
    return square


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as it comes with matplotlib, so that sheets look the same on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def wrap(text: str, width: int, face: ImageFont.FreeTypeFont) -> list[str]:
    """Lines of text that fit ``width`` pixels; given line breaks are kept."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and face.getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines if text else []


def draw(sheet: Sheet, cell: int = CELL) -> Image.Image:
    """The sheet as a picture."""
    small, head, title, note = font(12), font(13, True), font(18, True), font(12)
    line = 16
    columns = max((len(row) for row in sheet.rows), default=1)
    left = MARGIN
    if any(sheet.row_labels):
        left += min(176, int(max(head.getlength(w) for label in sheet.row_labels for w in label.split("\n"))) + 12)
    x_of, x = [], left
    for column in range(columns):
        x += BLOCK_GAP - GAP if column in sheet.blocks and column else 0
        x_of.append(x)
        x += cell + GAP
    title_width = int(title.getlength(sheet.title))
    width = max(x - GAP + MARGIN, min(title_width + 2 * MARGIN, 1200))
    title_lines = wrap(sheet.title, width - 2 * MARGIN, title)
    note_lines = wrap(sheet.note, width - 2 * MARGIN, note)
    headers = [wrap(text, cell, head) for text in sheet.headers]
    labels = [[wrap(item.label, cell, small) for item in row] for row in sheet.rows]
    top = MARGIN + 24 * len(title_lines) + line * len(note_lines) + 10
    head_height = line * max((len(lines) for lines in headers), default=0) + (6 if headers else 0)
    heights = [cell + 4 + line * max((len(lines) for lines in row), default=0) + GAP for row in labels]
    page = Image.new("RGB", (width, top + head_height + sum(heights) + MARGIN), "white")
    pen = ImageDraw.Draw(page)
    y = MARGIN
    for text in title_lines:
        pen.text((MARGIN, y), text, INK, title)
        y += 24
    for text in note_lines:
        pen.text((MARGIN, y), text, GREY, note)
        y += line
    y = top
    for column, lines in enumerate(headers[:columns]):
        for number, text in enumerate(lines):
            at = x_of[column] + (cell - head.getlength(text)) / 2
            pen.text((at, y + head_height - 6 - line * (len(lines) - number)), text, INK, head)
    y += head_height
    for number, (row, texts) in enumerate(zip(sheet.rows, labels, strict=True)):
        if number < len(sheet.row_labels):
            lines = [x for part in sheet.row_labels[number].split("\n") for x in wrap(part, left - MARGIN - 6, head)]
            for i, text in enumerate(lines):
                pen.text((MARGIN, y + cell / 2 - line * len(lines) / 2 + i * line), text, INK, head)
        for column, (item, lines) in enumerate(zip(row, texts, strict=True)):
            _draw_cell(page, pen, item, lines, x_of[column], y, cell, small)
        y += heights[number]
    return page


def _draw_cell(
    page: Image.Image,
    pen: ImageDraw.ImageDraw,
    item: Cell,
    lines: list[str],
    x: int,
    y: int,
    cell: int,
    face: ImageFont.FreeTypeFont,
) -> None:
    if item.image is None:
        if item.label:
            pen.rectangle((x, y, x + cell - 1, y + cell - 1), outline=LIGHT)
    else:
        page.paste(enlarge(item.image, cell), (x, y))
        if item.frame:
            pen.rectangle((x - 3, y - 3, x + cell + 2, y + cell + 2), outline=item.frame, width=3)
    for number, text in enumerate(lines):
        pen.text((x, y + cell + 4 + number * 16), text, INK, face)


def save(sheet: Sheet, path: str | Path) -> None:
    """Write the sheet as PNG, atomically; equal sheets give equal bytes."""
    with atomic_path(path) as part:
        draw(sheet).save(part, format="PNG")
