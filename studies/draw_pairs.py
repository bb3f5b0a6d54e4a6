"""Draw 24 fixed pairs of an unseen subject and a prompt, none chosen, and let the probe judge them.

    python studies/draw_pairs.py --apprentice resources/models/apprentice --report docs/results/pairs.json \\
        --sheet docs/images/pairs.png

The evidence of what the shipped apprentice draws. Subjects are those of another seed than the benchmark's and than that
of the studies which chose the settings. The n-th subject is asked its n-th template, so each pair is fixed by the seed.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from suti.benchmark.world import world_benchmark
from suti.cli.arguments import parser
from suti.compute import prepare
from suti.config.load import load_config
from suti.config.settings import Settings
from suti.digests import model_digest
from suti.evaluation.bootstrap import template_rows
from suti.evaluation.judging import judge_run
from suti.figures.grids import Cell, Sheet, save
from suti.generation.draw import BenchmarkSubject, draw_suti
from suti.generation.files import sampling_settings
from suti.io.atomic import write_json
from suti.io.provenance import provenance
from suti.models.pipeline import SuTIPipeline
from suti.small_models.probe_network import load_probe

SEED = 2
PAIRS, ACROSS = 24, 4
SCORES = ("subject", "text", "realism", "overall")


def pairs_of(count: int, demonstrations: int) -> tuple[list[BenchmarkSubject], dict[str, list[np.ndarray]]]:
    """Subjects with one prompt each, and the real pictures that they are compared with."""
    world = world_benchmark(SEED, count, 25, demonstrations, 1)
    texts_of = pd.DataFrame(world.demonstrations).groupby("subject_id")
    prompts_of = template_rows(pd.DataFrame(world.prompts)).groupby("subject_id")
    found = []
    for number, row in enumerate(pd.DataFrame(world.subjects).itertuples()):
        shown = texts_of.get_group(row.subject_id)
        pairs = [(world.demonstration_images[key], t) for key, t in zip(shown["image_id"], shown["text"], strict=True)]
        asked = prompts_of.get_group(row.subject_id)
        prompt = asked.iloc[number % len(asked)]
        one = ((str(prompt["prompt_id"]), str(prompt["prompt"])),)
        found.append(BenchmarkSubject(str(row.subject_id), str(row.class_name), tuple(pairs), one))
    return found, world.references


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--apprentice", type=Path, required=True, help="SuTIPipeline folder")
    arguments.add_argument("--report", type=Path, required=True, help="JSON to write")
    arguments.add_argument("--sheet", type=Path, required=True, help="PNG to write")
    for name, kind in (("steps", int), ("guidance", float), ("demonstration-guidance", float), ("stop", float)):
        arguments.add_argument(f"--{name}", type=kind, help="in the place of the configuration's")
    args = arguments.parse_args()
    config = load_config(["config.yaml"])
    prepare(config.compute)
    if config.evaluation.probe is None:
        arguments.error("evaluation.probe: null, but pictures are judged by it")
    begun = time.perf_counter()
    named = {"num_inference_steps": args.steps, "guidance_scale": args.guidance, "guidance_stop": args.stop,
             "demonstration_guidance_scale": args.demonstration_guidance}  # fmt: skip
    changes = {name: value for name, value in named.items() if value is not None}
    sampling = replace(sampling_settings(Settings(config.model_dump(mode="json"))), **changes)
    pipeline = SuTIPipeline.from_pretrained(str(args.apprentice), dtype=torch.float32)
    pipeline.base.freeze()
    subjects, references = pairs_of(PAIRS, config.evaluation.demonstrations)
    k = config.evaluation.demonstrations
    start = time.process_time()
    drawn = [draw_suti(pipeline, subject, k, sampling, config.compute, config.seed) for subject in subjects]
    seconds = (time.process_time() - start) / len(subjects)
    table = pd.DataFrame([row for d in drawn for row in d.rows]).assign(run="suti")
    pictures = {row["sample_id"]: image for d in drawn for row, image in zip(d.rows, d.images, strict=True)}
    judged = judge_run(table, pictures, references, load_probe(config.evaluation.probe, config.compute))
    means = {score: float(judged[score].mean()) for score in SCORES}
    print({score: round(value, 3) for score, value in means.items()}, flush=True)
    settled = {"sampling": sampling.__dict__, "apprentice": model_digest(str(args.apprentice)), "seed": SEED}
    rows = judged[[*SCORES]].assign(
        subject=[s.subject_id for s in subjects], prompt=[s.prompts[0][1] for s in subjects]
    )
    write_json(args.report, {
        "what": "fixed pairs of an unseen subject and a prompt, drawn by the apprentice, judged by the probe",
        "means": means, "cpu_seconds_a_picture": seconds, "pairs": rows.to_dict("records"),
        "provenance": provenance(settled, time.perf_counter() - begun),
    })  # fmt: skip
    cells = [
        (Cell(subject.demonstrations[0][0]), Cell(d.images[0], subject.prompts[0][1]))
        for subject, d in zip(subjects, drawn, strict=True)
    ]
    lines = [[cell for pair in cells[row : row + ACROSS] for cell in pair] for row in range(0, len(cells), ACROSS)]
    note = f"The first of {k} demonstrations, and the apprentice's picture of the prompt below it. None is chosen."
    blocks = frozenset(range(2, 2 * ACROSS, 2))
    save(
        Sheet("Unseen subjects, one prompt each", lines, ("shown", "drawn") * ACROSS, note=note, blocks=blocks),
        args.sheet,
    )


if __name__ == "__main__":
    main()
