"""What the drawing scripts share: their arguments, the benchmark they read and the pictures they write."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from suti import tables
from suti.arguments import Settings, parser
from suti.evaluation.benchmark import first_prompts
from suti.generation import BenchmarkSubject, Drawn, Sampling
from suti.io.atomic import write_json
from suti.io.picture_store import PictureStore
from suti.io.shards import encode_png, write_shard

IMAGES_A_SUBJECT = 4  # the paper's pictures a prompt; what 'seconds per subject' counts


def write_generations(run: str, drawn: list[Drawn], table: str, shard: str, timing: str) -> None:
    """Write a run's pictures, its table and its seconds, each whole or not at all.

    Seconds per subject are optimisation plus the sampling of four pictures, means over subjects.
    """
    members = (
        (f"{row['sample_id']}.png", encode_png(image))
        for d in drawn for row, image in zip(d.rows, d.images, strict=True)
    )  # fmt: skip
    write_shard(shard, members)
    tables.write(table, "generations", [{"run": run, **row} for d in drawn for row in d.rows])
    images = sum(len(d.rows) for d in drawn)
    optimisation = sum(d.optimisation_seconds for d in drawn) / len(drawn)
    sampling = sum(d.sampling_seconds for d in drawn) / images
    record: dict[str, Any] = {
        "run": run, "subjects": len(drawn), "images": images,
        "optimisation_seconds": optimisation, "sampling_seconds": sampling,
        "seconds_per_subject": optimisation + IMAGES_A_SUBJECT * sampling,
        "definition": "optimisation_seconds: mean over subjects; sampling_seconds: mean over pictures; "
        f"seconds_per_subject: optimisation and {IMAGES_A_SUBJECT} pictures",
    }  # fmt: skip
    write_json(Path(timing), record)


def read_benchmark(
    subjects: str, prompts: str, demonstrations: str, images: str, prompts_per_subject: int
) -> list[BenchmarkSubject]:
    """The subjects with their demonstrations and the first prompts of each, in the benchmark's order."""
    people = tables.read(subjects, "benchmark_subjects")
    asked = dict(
        iter(first_prompts(tables.read(prompts, "benchmark_prompts"), prompts_per_subject).groupby("subject_id"))
    )
    shown = dict(iter(tables.read(demonstrations, "demonstrations").groupby("subject_id", sort=False)))
    store = PictureStore([images])
    return [
        BenchmarkSubject(
            row.subject_id,
            row.class_name,
            tuple(
                (store(i), t)
                for i, t in zip(shown[row.subject_id]["image_id"], shown[row.subject_id]["text"], strict=True)
            ),
            tuple(zip(asked[row.subject_id]["prompt_id"], asked[row.subject_id]["prompt"], strict=True)),
        )
        for row in people.itertuples()
    ]


def drawing_parser(doc: str | None) -> argparse.ArgumentParser:
    """Parser with the benchmark's files, the outputs and the number of prompts."""
    arguments = parser(doc)
    for name in ("subjects", "prompts", "demonstrations"):
        arguments.add_argument(f"--{name}", required=True, metavar="FILE", help=f"benchmark table of {name}")
    arguments.add_argument("--images", required=True, metavar="FILE", help="shard of the demonstrations' pictures")
    arguments.add_argument("--prompts-per-subject", required=True, type=int, metavar="N")
    arguments.add_argument("--generations", required=True, metavar="FILE", help="table to write")
    arguments.add_argument("--images-out", required=True, metavar="FILE", help="shard of pictures to write")
    arguments.add_argument("--timing", required=True, metavar="FILE", help="seconds, JSON to write")
    return arguments


def sampling_settings(settings: Settings) -> Sampling:
    """How pictures are drawn, of the passed settings of evaluation."""
    names = (
        "num_inference_steps", "guidance_scale", "demonstration_guidance_scale", "dynamic_thresholding",
        "images_per_prompt",
    )  # fmt: skip
    return Sampling(**{name: settings[f"evaluation.{name}"] for name in names})
