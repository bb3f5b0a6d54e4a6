"""What a benchmark consists of, from whatever source: the rows of its tables, and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from suti.benchmark.prompts import first_prompts
from suti.config.values import COMPOSITIONAL
from suti.runs import REAL


@dataclass(frozen=True)
class Benchmark:
    """Rows of the tables benchmark_subjects, benchmark_prompts, demonstrations and generations (run 'real').

    Pictures are uint8 (H, W, 3). ``demonstrations`` and ``targets`` key theirs by image_id and sample_id;
    ``references`` maps a subject to its real pictures, ``appearances`` the key SUBJECT__PROMPT of a prompt that changes
    the subject's looks to real pictures of the subject so changed.
    """

    subjects: list[dict] = field(default_factory=list)
    prompts: list[dict] = field(default_factory=list)
    demonstrations: list[dict] = field(default_factory=list)
    targets: list[dict] = field(default_factory=list)
    demonstration_images: dict[str, np.ndarray] = field(default_factory=dict)
    references: dict[str, list[np.ndarray]] = field(default_factory=dict)
    appearances: dict[str, list[np.ndarray]] = field(default_factory=dict)
    target_images: dict[str, np.ndarray] = field(default_factory=dict)


def thinned(benchmark: Benchmark, main_subjects: int, n: int) -> Benchmark:
    """A benchmark whose subjects behind the first ``main_subjects`` have the curves' n prompts only.

    Those are the first n of the compositional list, or of the templates where there is no such list.

    Real pictures of the prompts that go, go too; photos, which belong to no prompt, stay.
    """
    main = {row["subject_id"] for row in benchmark.subjects[:main_subjects]}
    table = pd.DataFrame(benchmark.prompts)
    listed = bool((table["skill"] == COMPOSITIONAL).any())
    curves = first_prompts(table, 0 if listed else n, n if listed else 0)
    kept = set(curves[["subject_id", "prompt_id"]].itertuples(index=False, name=None))
    pairs = [(row["subject_id"], row["prompt_id"]) for row in benchmark.prompts]
    dropped = {pair for pair in pairs if pair[0] not in main and pair not in kept}

    def stays(row: Mapping[str, Any]) -> bool:
        return (row["subject_id"], row["prompt_id"]) not in dropped

    targets = [row for row in benchmark.targets if stays(row)]
    gone = {appearance_key(*pair) for pair in dropped}
    return replace(
        benchmark,
        prompts=[row for row in benchmark.prompts if stays(row)],
        targets=targets,
        target_images={row["sample_id"]: benchmark.target_images[row["sample_id"]] for row in targets},
        appearances={key: pictures for key, pictures in benchmark.appearances.items() if key not in gone},
    )


def appearance_key(subject_id: str, prompt_id: str) -> str:
    """Key of the real pictures that show a subject as one of its prompts asks."""
    return f"{subject_id}__{prompt_id}"


def target_row(sample_id: str, subject_id: str, prompt_id: str, prompt: str, image_index: int = 0) -> dict:
    """Row of table 'generations' for a real picture."""
    return {
        "run": REAL,
        "sample_id": sample_id,
        "subject_id": subject_id,
        "prompt_id": prompt_id,
        "prompt": prompt,
        "image_index": image_index,
    }
