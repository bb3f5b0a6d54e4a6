"""Subjects that a drawing run has finished, each kept by the hash of all that made it (suti/io/finished.py).

A killed run goes on where it was, and a larger benchmark draws the new subjects only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from suti.generation.draw import BenchmarkSubject, Drawn
from suti.io.finished import Finished, content_address


def draw_all(
    subjects: Sequence[BenchmarkSubject], draw: Callable[[BenchmarkSubject], Drawn], context: dict[str, Any],
    cache: Path, description: str,
) -> list[Drawn]:  # fmt: skip
    """Draw the subjects that the cache does not have, in their order, and keep each as soon as it is done.

    Args:
        context: all that the pictures depend on beside the subject; goes into the address as JSON.
        description: of the progress bar.
    """
    finished, results = Finished(cache), []
    for subject in tqdm(subjects, desc=description, unit="subject", mininterval=5):
        name = address(subject, context)
        result = finished.find(name, _drawn)
        if result is None:
            result = draw(subject)
            record = {key: value for key, value in vars(result).items() if key != "images"}
            keys = [row["sample_id"] for row in result.rows]
            finished.keep(name, record, zip(keys, result.images, strict=True))
        results.append(result)
    return results


def address(subject: BenchmarkSubject, context: dict[str, Any]) -> str:
    """Content address of a subject's pictures."""
    texts = [subject.subject_id, subject.class_name, subject.prompts, [t for _, t in subject.demonstrations]]
    return content_address([texts, context], [picture for picture, _ in subject.demonstrations])


def _drawn(record: dict[str, Any], pictures: dict[str, np.ndarray]) -> Drawn:
    return Drawn(images=np.stack([pictures[row["sample_id"]] for row in record["rows"]]), **record)
