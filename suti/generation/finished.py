"""Subjects that a drawing run has finished, each in a file under the hash of all that made it.

A killed run goes on where it was, and a larger benchmark draws the new subjects only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from suti.generation.draw import BenchmarkSubject, Drawn
from suti.io.shards import decode_rgb, encode_png, iterate_shard, write_shard


def draw_all(
    subjects: Sequence[BenchmarkSubject], draw: Callable[[BenchmarkSubject], Drawn], context: dict[str, Any],
    cache: Path, description: str,
) -> list[Drawn]:  # fmt: skip
    """Draw the subjects that the cache does not have, in their order, and keep each as soon as it is done.

    Args:
        context: all that the pictures depend on beside the subject; goes into the address as JSON.
        description: of the progress bar.
    """
    results = []
    for subject in tqdm(subjects, desc=description, unit="subject", mininterval=5):
        name = address(subject, context)
        path = cache / name[:2] / f"{name}.tar"
        result = read_finished(path)
        if result is None:
            result = draw(subject)
            write_finished(path, result)
        results.append(result)
    return results


def address(subject: BenchmarkSubject, context: dict[str, Any]) -> str:
    """Content address of a subject's pictures."""
    digest = hashlib.blake2b(digest_size=16)
    texts = [subject.subject_id, subject.class_name, subject.prompts, [t for _, t in subject.demonstrations]]
    digest.update(json.dumps([texts, context], sort_keys=True).encode())
    for picture, _ in subject.demonstrations:
        digest.update(np.ascontiguousarray(picture).tobytes())
    return digest.hexdigest()


def read_finished(path: Path) -> Drawn | None:
    """A finished subject, or None if there is none or its file is damaged (which is then removed)."""
    if not path.exists():
        return None
    try:
        members = dict(iterate_shard(path))
        record = json.loads(members.pop("result.json"))
        images = np.stack([decode_rgb(members[f"{row['sample_id']}.png"]) for row in record["rows"]])
        return Drawn(images=images, **record)
    except (ValueError, KeyError, TypeError, OSError):
        path.unlink(missing_ok=True)
        return None


def write_finished(path: Path, drawn: Drawn) -> None:
    """Keep a finished subject."""
    record = {k: v for k, v in vars(drawn).items() if k != "images"}
    pictures = [(f"{r['sample_id']}.png", encode_png(i)) for r, i in zip(drawn.rows, drawn.images, strict=True)]
    write_shard(path, [("result.json", json.dumps(record, sort_keys=True).encode()), *pictures])
