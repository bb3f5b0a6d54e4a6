"""A small study of folders: three subjects of two classes, two methods, one prompt that is hostile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from suti.ratings import sources
from suti.seeds import generator

HOSTILE = "<img src=x onerror=\"document.title='run'\"><b>bold</b> ${1}, a dog"
ROWS = (("dog1", "dog", HOSTILE), ("dog2", "dog", "a dog in the snow"), ("cup", "cup", "a cup on the beach"))


def picture(*key: str | int, size: tuple[int, int] = (24, 24)) -> np.ndarray:
    """uint8 (H, W, 3) of noise that the key determines."""
    return generator("test", *key).integers(0, 256, size=(*size, 3), dtype=np.uint8)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Folders ``alpha``, ``beta`` (a picture a row, numbered 1, 2, 10), ``references``; ``prompts.csv``."""
    for method in ("alpha", "beta"):
        (tmp_path / method).mkdir()
        for name, row in zip(("1", "2", "10"), ROWS, strict=True):
            told = Image.Exif()
            told[0x010E] = f"made by {method}"
            file = tmp_path / method / f"{name}.{'jpg' if method == 'alpha' else 'png'}"
            Image.fromarray(picture(method, row[0])).save(file, exif=told)
    for subject, _, _ in ROWS:
        (tmp_path / "references" / subject).mkdir(parents=True)
        for n in range(3):
            Image.fromarray(picture("real", subject, n)).save(tmp_path / "references" / subject / f"{n}.png")
    quoted = (f'{s},{c},"{p.replace(chr(34), chr(34) * 2)}"' for s, c, p in ROWS)
    (tmp_path / "prompts.csv").write_text("subject,class,prompt\n" + "\n".join(quoted) + "\n")
    return tmp_path


@pytest.fixture
def material(folders: Path) -> sources.Material:
    return sources.from_folders(
        {"alpha": folders / "alpha", "beta": folders / "beta"},
        folders / "prompts.csv",
        folders / "references",
        shown=4,
        max_pixels=10_000,
    )
