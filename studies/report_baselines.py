"""Judge systems and their settings on subjects of the world: subject score gained over the base, text kept, cost.

    python studies/report_baselines.py --report docs/results/baselines.json --sheet docs/images/baselines.png \\
        --systems textual-inversion textual-inversion:steps=300 dreambooth-prior:prior_weight=0.5 \\
        --models re-imagen=results/baselines/re-imagen

The evidence behind the defaults of `baselines` in config.yaml and behind docs/baselines.md. Subjects, demonstrations
and prompts are those of another seed than the benchmark's, so the choice is not made on what the tables are measured
on. All systems draw the same prompts from the same noise. An entry is SYSTEM or SYSTEM:SETTING=VALUE,... with settings
of its section of `baselines`. The report is written anew after every entry; entries that it holds already are not run
again, unless a sheet is wanted, which shows the entries of this call.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from suti.baselines.method import load_method
from suti.baselines.systems import SYSTEMS
from suti.benchmark.world import world_benchmark
from suti.cli.arguments import parser
from suti.compute import prepare
from suti.config.load import load_config, lookup
from suti.config.schema import Config
from suti.config.settings import Settings
from suti.evaluation.bootstrap import interval, subject_means, template_rows
from suti.evaluation.judging import judge_run
from suti.figures.grids import Cell, Sheet, save
from suti.generation.draw import BenchmarkSubject, Drawn, draw_suti
from suti.generation.files import sampling_settings
from suti.io.atomic import read_json, write_json
from suti.io.provenance import provenance
from suti.models.base import BaseModel, load_base
from suti.models.pipeline import SuTIPipeline
from suti.small_models.probe_network import Probe, load_probe

SEED = 1  # of subjects and prompts; the benchmark's is `seed` of the configuration, 0
SCORES = ("subject", "text", "realism", "overall")


def subjects_of(count: int, prompts: int, demonstrations: int) -> tuple[list[BenchmarkSubject], dict[str, Any]]:
    """Subjects with so many prompts and demonstrations each, and the real pictures that they are compared with."""
    world = world_benchmark(SEED, count, prompts, demonstrations, 1)
    demonstrations_of = pd.DataFrame(world.demonstrations).groupby("subject_id")
    prompts_of = template_rows(pd.DataFrame(world.prompts)).groupby("subject_id")
    found = []
    for row in pd.DataFrame(world.subjects).itertuples():
        texts = demonstrations_of.get_group(row.subject_id)
        pairs = [(world.demonstration_images[k], t) for k, t in zip(texts["image_id"], texts["text"], strict=True)]
        rows = prompts_of.get_group(row.subject_id)
        ids = tuple(zip(rows["prompt_id"], rows["prompt"], strict=True))
        found.append(BenchmarkSubject(row.subject_id, row.class_name, tuple(pairs[:demonstrations]), ids))
    return found, world.references


def settings_of(entry: str, config: Config) -> tuple[str, Config]:
    """The system of an entry, and the configuration with its settings.

    Raises:
        ValueError: no such system, or not of the form SYSTEM:SETTING=VALUE,...
    """
    name, _, changes = entry.partition(":")
    pairs = [change.partition("=") for change in changes.split(",") if change]
    if name not in SYSTEMS or not all(sign for _, sign, _ in pairs):
        raise ValueError(f"--systems: {entry!r}, expected SYSTEM:SETTING=VALUE,... with one of {', '.join(SYSTEMS)}")
    changed = {key: yaml.safe_load(value) for key, _, value in pairs}
    section = SYSTEMS[name].section
    settings = config.model_dump(mode="json")
    settings["baselines"][section] |= changed
    return name, Config.model_validate(settings)


def judged(drawn: list[Drawn], references: dict[str, Any], probe: Probe) -> pd.DataFrame:
    """The probe's scores of what was drawn."""
    table = pd.DataFrame([row for d in drawn for row in d.rows]).assign(run="system")
    images = {row["sample_id"]: image for d in drawn for row, image in zip(d.rows, d.images, strict=True)}
    return judge_run(table, images, references, probe)


def compared(drawn: list[Drawn], found: pd.DataFrame, base: pd.DataFrame, config: Config) -> dict[str, Any]:
    """Means, differences to the base with their 95 % interval over subjects, and the cost of a subject."""
    pictures = sum(len(d.rows) for d in drawn)
    result: dict[str, Any] = {
        "seconds_of_preparation": float(np.mean([d.optimisation_seconds + d.encoding_seconds for d in drawn])),
        "seconds_a_picture": sum(d.sampling_seconds for d in drawn) / pictures,
        "cpu_seconds_to_first_picture": float(np.mean([d.first_cpu_seconds for d in drawn])),
        "bytes": float(np.mean([d.stored_bytes for d in drawn])), "pictures": pictures,
    }  # fmt: skip
    base = base[base["sample_id"].isin(set(found["sample_id"]))]
    for score in SCORES:
        ours, theirs = (subject_means(frame, score).to_numpy() for frame in (found, base))
        mean, low, high = interval(ours - theirs, config.evaluation.bootstrap, config.seed)
        result[score] = {"mean": float(ours.mean()), "gain": mean, "low": low, "high": high}
    return result


def sheet(subjects: list[BenchmarkSubject], columns: dict[str, list[Drawn]]) -> Sheet:
    """A subject and its first prompt a row; two demonstrations at the left, a system a column."""
    rows = [
        [Cell(picture) for picture, _ in subject.demonstrations[:2]]
        + [Cell(drawn[number].images[0]) for drawn in columns.values()]
        for number, subject in enumerate(subjects)
    ]
    labels = [subject.prompts[0][1] for subject in subjects]
    headers = ["demonstrations", "", *columns]
    note = "Equal noise in all columns; subjects in their order, not chosen by score."
    return Sheet("The same prompt, drawn by each system", rows, headers, labels, note, frozenset({2}))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--report", type=Path, required=True, help="JSON to write, and to go on from")
    arguments.add_argument("--sheet", type=Path, help="PNG to write")
    arguments.add_argument("--systems", nargs="+", default=[], metavar="SYSTEM[:SETTING=VALUE,...]")
    arguments.add_argument("--models", nargs="*", default=[], metavar="SYSTEM=FOLDER", help="models of their own")
    arguments.add_argument("--subjects", type=int, default=6)
    arguments.add_argument("--prompts", type=int, default=4, help="prompts a subject")
    args = arguments.parse_args()
    config = load_config(["config.yaml"])
    device = prepare(config.compute)
    sampling = sampling_settings(Settings(config.model_dump(mode="json")))
    if config.evaluation.probe is None:
        arguments.error("evaluation.probe: null, but systems are judged by it")
    probe = load_probe(config.evaluation.probe, config.compute)
    folders = {name: config.models.apprentice for name, s in SYSTEMS.items() if s.starts_from == "apprentice"}
    folders |= dict(item.split("=", 1) for item in args.models)
    subjects, references = subjects_of(args.subjects, args.prompts, config.evaluation.demonstrations)
    report = read_json(args.report) if args.report.exists() else {"systems": {}}
    base = load_base(config.models.base).to(device)
    begun = time.perf_counter()

    def plain(model: BaseModel, k: int) -> list[Drawn]:
        return [
            draw_suti(SuTIPipeline.of(model), subject, k, sampling, config.compute, config.seed) for subject in subjects
        ]

    columns = {"base": plain(base, 0)}
    floor = judged(columns["base"], references, probe)
    report |= {
        "what": "systems on subjects of the world, judged by the probe; gain: system less base, same prompts and noise",
        "subjects": len(subjects), "prompts": args.prompts,
        "base": {score: float(subject_means(floor, score).mean()) for score in SCORES},
    }  # fmt: skip
    for entry in args.systems:
        if entry in report["systems"] and not args.sheet:
            continue
        name, changed = settings_of(entry, config)
        system = SYSTEMS[name]
        method = load_method(system.name, system.module)
        settings = method.settings_of({key: lookup(changed, key) for key in system.reads})
        model = base
        if method.load is not None:
            if not folders.get(name):
                arguments.error(f"--models: {name} starts from a model of its own; add {name}=FOLDER")
            model = method.load(folders[name]).to(device)
        drawn = [method.draw(model, subject, settings, sampling, config.compute, config.seed) for subject in subjects]
        columns[entry.replace(":", "\n").replace(",", "\n")] = drawn
        found = report["systems"][entry] = compared(drawn, judged(drawn, references, probe), floor, config)
        print(entry, {score: round(found[score]["gain"], 3) for score in SCORES}, flush=True)
        settled = {"baselines": config.baselines.model_dump(mode="json"), "seed": SEED}
        report["provenance"] = provenance(settled, time.perf_counter() - begun)
        write_json(args.report, report)
    if args.sheet:
        save(sheet(subjects, columns), args.sheet)


if __name__ == "__main__":
    main()
