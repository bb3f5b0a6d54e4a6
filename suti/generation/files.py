"""What the drawing scripts share: the benchmark they read and the pictures they write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from suti.benchmark.prompts import first_prompts
from suti.config.settings import Settings
from suti.diffusion.settings import Sampling
from suti.generation.draw import BenchmarkSubject, Drawn
from suti.io import tables
from suti.io.atomic import write_json
from suti.io.picture_store import PictureStore
from suti.io.shards import encode_png, write_shard

# Fields of Drawn.
SECONDS = ("optimisation_seconds", "encoding_seconds", "first_seconds", "sampling_seconds", "first_cpu_seconds")
IMAGES_A_SUBJECT = 4  # the paper's pictures a prompt; what 'seconds per subject' counts


def write_generations(
    run: str, drawn: list[Drawn], table: str, shard: str, timing: str, **conditions: str | int | None
) -> None:
    """Write a run's pictures, its table and its seconds, each whole or not at all.

    Args:
        conditions: what the seconds depend on and a reader cannot see from them, for the record.
    """
    members = (
        (f"{row['sample_id']}.png", encode_png(image))
        for d in drawn for row, image in zip(d.rows, d.images, strict=True)
    )  # fmt: skip
    write_shard(shard, members)
    tables.write(table, "generations", [{"run": run, **row} for d in drawn for row in d.rows])
    write_json(Path(timing), timing_record(run, drawn) | conditions)


def timing_record(run: str, drawn: list[Drawn]) -> dict[str, Any]:
    """Seconds of a run, in all and subject by subject, the model already loaded.

    The time to the first pictures of a new subject is its preparation (fine-tuning, or encoding its demonstrations)
    and the drawing of one prompt's pictures alone; the time of a whole subject is preparation and all its prompts.
    Only subjects that were drawn alone are timed, as a user's are; where none was, seconds are shares of groups'.
    """
    timed = [d for d in drawn if d.alone] or drawn
    mean = {name: sum(getattr(d, name) for d in timed) / len(timed) for name in SECONDS}
    prepared = mean["optimisation_seconds"] + mean["encoding_seconds"]
    sampling = sum(d.sampling_seconds for d in timed) / sum(len(d.rows) for d in timed)
    by_subject = {
        d.rows[0]["subject_id"]: {name: getattr(d, name) for name in SECONDS}
        | {"prompts": len({row["prompt_id"] for row in d.rows}), "images": len(d.rows), "bytes": d.stored_bytes}
        for d in drawn
        if d.alone
    }
    return {
        "run": run, "subjects": len(drawn), "timed_subjects": len(by_subject),
        "images": sum(len(d.rows) for d in drawn),
        "first_images": max(row["image_index"] for d in drawn for row in d.rows) + 1,
        "optimisation_seconds": mean["optimisation_seconds"], "encoding_seconds": mean["encoding_seconds"],
        "sampling_seconds": sampling,
        "seconds_to_first_images": prepared + mean["first_seconds"] if by_subject else None,
        "cpu_seconds_to_first_images": mean["first_cpu_seconds"] if by_subject else None,
        "seconds_whole_subject": prepared + mean["sampling_seconds"],
        "seconds_per_subject": prepared + IMAGES_A_SUBJECT * sampling,
        "bytes_per_subject": sum(d.stored_bytes for d in drawn) / len(drawn),
        "by_subject": by_subject,
        "definition": "all over timed_subjects, which were drawn alone (0: over groups drawn together, and no time to "
        "the first images); optimisation_seconds, encoding_seconds: means; sampling_seconds: mean over pictures; "
        "seconds_to_first_images: preparation (optimisation, encoding) and the first_images pictures of one prompt, "
        "drawn alone (cpu_: of the process on the processor); seconds_whole_subject: preparation and all "
        f"pictures of the benchmark; seconds_per_subject: preparation and {IMAGES_A_SUBJECT} pictures at the mean "
        "speed; models are loaded before; bytes_per_subject: mean of what must be kept of a subject to draw it again, "
        "beside the models that all subjects share and its own pictures, float16",
    }  # fmt: skip


def read_benchmark(
    subjects: str,
    prompts: str,
    demonstrations: str,
    images: str,
    templates: int,
    compositional: int,
    first: int | None = None,
) -> list[BenchmarkSubject]:
    """The subjects with their demonstrations and the first prompts of each, in the benchmark's order.

    Args:
        templates, compositional: prompts of each list (``suti.benchmark.prompts.first_prompts``).
        first: so many subjects only; None: all.
    """
    rows = tables.read(subjects, "benchmark_subjects").head(first)
    asked = first_prompts(tables.read(prompts, "benchmark_prompts"), templates, compositional)
    prompts_of = dict(iter(asked.groupby("subject_id")))
    demonstrations_of = dict(iter(tables.read(demonstrations, "demonstrations").groupby("subject_id", sort=False)))
    store = PictureStore([images])
    return [
        BenchmarkSubject(
            row.subject_id,
            row.class_name,
            tuple((store(i), text) for i, text in _pairs(demonstrations_of[row.subject_id], "image_id", "text")),
            tuple(_pairs(prompts_of[row.subject_id], "prompt_id", "prompt")),
        )
        for row in rows.itertuples()
    ]


def _pairs(table: pd.DataFrame, first: str, second: str) -> Iterator[tuple[str, str]]:
    return zip(table[first], table[second], strict=True)


def sampling_settings(settings: Settings) -> Sampling:
    """How pictures are drawn, of the passed settings of evaluation."""
    return Sampling(**{name: settings[f"evaluation.{name}"] for name in Sampling.names()})
