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
    groups: Sequence[Sequence[BenchmarkSubject]], draw: Callable[[Sequence[BenchmarkSubject]], Sequence[Drawn]],
    context: dict[str, Any], cache: Path, description: str,
) -> list[Drawn]:  # fmt: skip
    """Draw the groups that the cache does not have whole, in their order, and keep each as soon as it is done.

    Args:
        groups: subjects that are drawn together; who is beside a subject goes into its address, because a larger
            batch rounds otherwise.
        draw: the pictures of a group.
        context: all that the pictures depend on beside the subject; goes into the address as JSON.
        description: of the progress bar.
    """
    finished, results = Finished(cache), []
    with tqdm(total=sum(map(len, groups)), desc=description, unit="subject", mininterval=5) as progress:
        for group in groups:
            names = group_addresses(group, context)
            found = [finished.find(name, _drawn) for name in names]
            whole = [result for result in found if result is not None]
            if len(whole) < len(group):
                whole = list(draw(group))
                for name, result in zip(names, whole, strict=True):
                    record = {key: value for key, value in vars(result).items() if key != "images"}
                    keys = [row["sample_id"] for row in result.rows]
                    finished.keep(name, record, zip(keys, result.images, strict=True))
            results += whole
            progress.update(len(group))
    return results


def group_addresses(group: Sequence[BenchmarkSubject], context: dict[str, Any]) -> list[str]:
    """Content addresses of the pictures of subjects that are drawn together."""
    names = [address(subject, context) for subject in group]
    return names if len(names) == 1 else [content_address([name, names], []) for name in names]


def address(subject: BenchmarkSubject, context: dict[str, Any]) -> str:
    """Content address of a subject's pictures."""
    texts = [subject.subject_id, subject.class_name, subject.prompts, [t for _, t in subject.demonstrations]]
    return content_address([texts, context], [picture for picture, _ in subject.demonstrations])


def _drawn(record: dict[str, Any], pictures: dict[str, np.ndarray]) -> Drawn:
    return Drawn(images=np.stack([pictures[row["sample_id"]] for row in record["rows"]]), **record)
