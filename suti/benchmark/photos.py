"""Photos as a benchmark: a folder a subject."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from suti.benchmark.contents import Benchmark, target_row
from suti.benchmark.prompts import is_live
from suti.io.images import SUFFIXES, BadImage, read_image, shrink
from suti.seeds import stable_hash

PHOTO_SIZE = 512  # pixels: shorter side to which photos are reduced; above what any encoder of the metrics looks at
logger = logging.getLogger(__name__)


def subject_folders(path: Path, option: str = "evaluation.path") -> list[Path]:
    """The folders of a folder, by name: one a subject. Hidden ones are left out.

    Args:
        option: the setting or option that named it, for errors.

    Raises:
        FileNotFoundError: there is none.
    """
    found = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")) if path.is_dir() else []
    if not found:
        raise FileNotFoundError(f"{option}: no folders of pictures in {path}; make one a subject, e.g. {path}/my_dog")
    return found


def pictures_in(folder: Path) -> list[Path]:
    """Files of a folder that are named as pictures, by name; none if there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def photo_benchmark(
    subjects: Sequence[tuple[Path, str]], prompts_of: Callable[[Path, str, str], list[dict]], max_pixels: int
) -> Benchmark:
    """A benchmark of photos, which are both the demonstrations and the references of their subject, as in the paper.

    Args:
        subjects: the folder and the class of each.
        prompts_of: gives, of folder, subject id and class, the subject's rows of 'benchmark_prompts'.
        max_pixels: larger photos are left out.

    Raises:
        ValueError: a folder has no usable photo.
    """
    result = Benchmark()
    for folder, class_name in subjects:
        subject_id = subject_key(folder.name)
        result.subjects.append({"subject_id": subject_id, "class_name": class_name, "live": is_live(class_name)})
        result.prompts.extend(prompts_of(folder, subject_id, class_name))
        photos = read_photos(folder, max_pixels)
        result.references[subject_id] = photos
        for number, photo in enumerate(photos):
            key = f"{subject_id}__{number:02d}"
            result.demonstrations.append({"subject_id": subject_id, "image_id": key, "text": f"a {class_name}"})
            result.demonstration_images[key] = photo
            # No prompt: a photo was not made for one, so it has no score of text.
            result.targets.append(target_row(key, subject_id, f"photo-{number:02d}", ""))
            result.target_images[key] = photo
    return result


def subject_key(folder: str) -> str:
    """Subject id of a folder: its name where that is plain, else a plain form of it with a hash."""
    if re.fullmatch(r"[A-Za-z0-9][\w-]{0,59}", folder, flags=re.ASCII):
        return folder
    plain = re.sub(r"\W+", "-", folder, flags=re.ASCII).strip("-")[:40]
    return f"{plain or 'subject'}-{stable_hash('folder', folder, bits=32):08x}"


def read_photos(folder: Path, max_pixels: int) -> list[np.ndarray]:
    """The usable photos of a folder in order of their names, uint8 (H, W, 3), shorter side at most
    ``PHOTO_SIZE``.

    Files that are no pictures are named in the log and left out.

    Raises:
        ValueError: none is usable.
    """
    photos, reasons = [], []
    for file in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        try:
            photos.append(shrink(read_image(file, max_pixels=max_pixels), PHOTO_SIZE))
        except BadImage as error:
            reasons.append(f"{file.name}: {error}")
            logger.warning("%s: left out, %s", file, error)
    if not photos:
        raise ValueError(
            f"{folder}: no usable photo ({'; '.join(reasons[:3]) or 'the folder is empty'}); add JPEG or PNG files"
        )
    return photos
