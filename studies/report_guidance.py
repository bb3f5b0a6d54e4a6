"""Judge how pictures are drawn: number of steps, and where in the noise schedule guidance ends.

    python studies/report_guidance.py --report docs/results/guidance.json --sheet docs/images/guidance.png

The evidence behind `num_inference_steps` and `guidance_stop` of `experts` and `evaluation` in config.yaml. Experts are
trained once for each entry, from the same keys; SuTI is the shipped apprentice with `evaluation.demonstrations`
pictures. Subjects and prompts are those of another seed than the benchmark's. An entry is STEPS:STOP, and the first is
the one that the others are compared with, picture by picture.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from report_baselines import judged, subjects_of
from report_experts import SEED, drawn_by, judge, tasks_of

from suti.benchmark.world import world_benchmark
from suti.cli.arguments import parser
from suti.compute import prepare
from suti.config.load import load_config
from suti.config.schema import Config
from suti.config.settings import Settings
from suti.evaluation.bootstrap import interval, subject_means
from suti.experts.batched.memory import fit_machine
from suti.experts.run import fine_tuning, run_experts, training_set
from suti.figures.grids import Cell, Sheet, save
from suti.generation.draw import Drawn, draw_suti
from suti.generation.files import sampling_settings
from suti.io.atomic import write_json
from suti.io.provenance import provenance
from suti.models.base import load_base
from suti.models.pipeline import SuTIPipeline
from suti.small_models.probe_network import load_probe

GRID = ["16:1", "32:1", "16:0.8", "12:0.65", "16:0.65", "20:0.65", "16:0.5"]
SCORES = ("subject", "text", "realism", "overall")
SHOWN = 8  # subjects of the sheet


def changes_of(entry: str) -> dict[str, Any]:
    """Settings of STEPS:STOP.

    Raises:
        ValueError: not of this form.
    """
    steps, sign, stop = entry.partition(":")
    try:
        if not sign:
            raise ValueError(entry)
        return {"num_inference_steps": int(steps), "guidance_stop": float(stop)}
    except ValueError as error:
        raise ValueError(f"--grid: {entry!r}, expected STEPS:STOP, e.g. 20:0.65") from error


def compared(found: pd.DataFrame, first: pd.DataFrame, config: Config) -> dict[str, Any]:
    """Means, and differences to the first entry with their 95 % interval over subjects."""
    result = {}
    for score in SCORES:
        ours, theirs = (subject_means(frame, score).to_numpy() for frame in (found, first))
        mean, low, high = interval(ours - theirs, config.evaluation.bootstrap, config.seed)
        result[score] = {"mean": float(ours.mean()), "difference": mean, "low": low, "high": high}
    return result


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--report", type=Path, required=True, help="JSON to write")
    arguments.add_argument("--sheet", type=Path, required=True, help="PNG to write")
    arguments.add_argument("--grid", nargs="+", default=GRID, metavar="STEPS:STOP")
    arguments.add_argument("--subjects", type=int, default=24)
    arguments.add_argument("--prompts", type=int, default=6, help="prompts a subject")
    args = arguments.parse_args()
    config = load_config(["config.yaml"])
    device = prepare(config.compute)
    if config.evaluation.probe is None or config.models.apprentice is None:
        arguments.error("evaluation.probe, models.apprentice: null, but pictures are judged by it, and drawn by it")
    probe = load_probe(config.evaluation.probe, config.compute)
    base = load_base(config.models.base).to(device)
    pipeline = SuTIPipeline.from_pretrained(config.models.apprentice, dtype=torch.float32)
    pipeline.base.freeze()
    tasks, real = tasks_of(args.subjects, args.prompts)
    k = config.evaluation.demonstrations
    world = world_benchmark(SEED, args.subjects, args.prompts, k, 1)
    subjects = subjects_of(world, args.prompts, 0, k)
    plain = sampling_settings(Settings(config.model_dump(mode="json")))
    tables: dict[str, dict[str, pd.DataFrame]] = {"experts": {}, "suti": {}}
    report: dict[str, Any] = {
        "what": "pictures of experts and of SuTI by STEPS:STOP, judged by the probe; difference: to the first entry",
        "subjects": args.subjects, "prompts": args.prompts, "experts": {}, "suti": {},
    }  # fmt: skip
    columns: dict[str, list[Cell]] = {}
    begun = time.perf_counter()
    for entry in args.grid:
        changes = changes_of(entry)
        experts = config.experts.model_copy(update=changes)
        like = training_set(tasks[0], base)
        count = fit_machine("auto", experts.batch_size, base, fine_tuning(experts), config.compute, like).experts
        start, results = time.process_time(), []
        for first in range(0, len(tasks), count):
            group = tasks[first : first + count]
            names = [task.subject_id for task in group]
            results += run_experts(group, names, base, experts, config.compute, config.seed)
        seconds = {"experts": (time.process_time() - start) / len(tasks)}
        tables["experts"][entry] = judge(*drawn_by(results), real, probe)
        sampling, start = replace(plain, **changes), time.process_time()
        drawn: list[Drawn] = [
            draw_suti(pipeline, subject, k, sampling, config.compute, config.seed) for subject in subjects
        ]
        seconds["suti"] = (time.process_time() - start) / len(subjects)
        tables["suti"][entry] = judged(drawn, world, probe)
        own = {task.subject_id: Cell(r.pictures[0]) for task, r in zip(tasks, results, strict=True)}
        columns[f"expert\n{entry}"] = [own[subject.subject_id] for subject in subjects[:SHOWN]]
        columns[f"SuTI\n{entry}"] = [Cell(d.images[0]) for d in drawn[:SHOWN]]
        for system, found in tables.items():
            row = compared(found[entry], found[args.grid[0]], config)
            report[system][entry] = row | {"cpu_seconds_a_subject": seconds[system]}
            print(system, entry, {score: round(row[score]["mean"], 3) for score in SCORES}, flush=True)
        settled = {"experts": config.experts.model_dump(mode="json"),
                   "evaluation": config.evaluation.model_dump(mode="json")}  # fmt: skip
        report["provenance"] = provenance(settled, time.perf_counter() - begun)
        write_json(args.report, report)
    order = sorted(columns, key=lambda name: not name.startswith("expert"))
    rows = [[columns[name][number] for name in order] for number in range(min(SHOWN, len(subjects)))]
    labels = [subject.prompts[0][1] for subject in subjects[:SHOWN]]
    note = "STEPS:STOP; equal noise in columns of the same number of steps. Subjects in their order, not chosen."
    save(Sheet("Where guidance ends", rows, order, labels, note, frozenset({len(args.grid)})), args.sheet)


if __name__ == "__main__":
    main()
