"""Choose the settings of systems that have some, on subjects of the world that no benchmark has.

    python studies/report_baselines.py --report docs/results/baselines.json --systems dreambooth dream-suti
    python studies/report_baselines.py --report FILE.json \\
        --trials dreambooth:steps=30,learning_rate=2e-4 dreambooth:steps=100,learning_rate=5e-5 \\
                 dream-suti:steps=20 dream-suti:steps=60

The evidence behind the defaults of `baselines` in config.yaml and behind docs/baselines.md. It is fair in three ways:
subjects are of a key space of their own, whatever the benchmark's seed; every system has as many trials; and one rule
chooses (``choose``). All trials draw the same prompts from the same noise and are judged by the probe.

A trial is SYSTEM:SETTING=VALUE,... with settings of the system's section; GRIDS has four for each system. A system
without such settings is run as it is; whose model is trained by a rule draws from --models SYSTEM=FOLDER. The report,
and a table of it in Markdown beside it, are written anew after every trial. Trials that it holds already are not run
again, unless a sheet is wanted, which shows the trials of this call.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from suti.baselines.method import load_method
from suti.baselines.systems import SYSTEMS
from suti.benchmark.contents import Benchmark
from suti.benchmark.prompts import SHEET_ONLY, first_prompts
from suti.benchmark.world import VALIDATION, world_benchmark
from suti.cli.arguments import parser
from suti.compute import prepare
from suti.config.load import load_config, lookup
from suti.config.schema import Config
from suti.config.settings import Settings
from suti.digests import model_digest
from suti.evaluation.bootstrap import interval, subject_means
from suti.evaluation.judging import Probe, judge_run
from suti.figures.grids import Cell, Sheet, save
from suti.generation.draw import BenchmarkSubject, Drawn, draw_suti
from suti.generation.files import sampling_settings
from suti.io.atomic import read_json, write_json, write_text
from suti.io.provenance import provenance
from suti.models.base import BaseModel, load_base
from suti.models.pipeline import SuTIPipeline
from suti.small_models.probe_network import load_probe

SCORES = ("subject", "text", "realism", "overall")
GRIDS = {
    "textual-inversion": ["steps=150", "steps=300", "steps=150,learning_rate=0.5", "steps=300,learning_rate=0.5"],
    "null-text": ["inner_steps=3", "inner_steps=0", "cross_share=0.5", "inner_steps=0,cross_share=0.5"],
    "imagic": ["eta=0.8", "eta=0.7", "embedding_learning_rate=1e-1", "eta=0.7,embedding_learning_rate=1e-1"],
    "dreambooth": ["steps=30,learning_rate=2e-4", "steps=60,learning_rate=1e-4", "steps=100,learning_rate=5e-5",
                   "steps=200,learning_rate=5e-5"],
    "dreambooth-prior": ["prior_weight=0.3", "prior_weight=0.1", "prior_weight=1",
                         "prior_weight=0.3,steps=100,learning_rate=5e-5"],
    "instruct-pix2pix": ["image_guidance_scale=2.5", "image_guidance_scale=1.5",
                         "guidance_scale=4,image_guidance_scale=2.5", "guidance_scale=4,image_guidance_scale=1.5"],
    "re-imagen": [""],
    "clusters": [""],
    "dream-suti": ["steps=20,learning_rate=5e-5", "steps=60,learning_rate=2e-5", "steps=60,learning_rate=5e-5",
                   "steps=20,learning_rate=1e-4"],
}  # fmt: skip
"""Four settings a system, written before any of them was run; '' is a system without settings of its drawing."""


def trials_of(systems: Sequence[str], trials: Sequence[str]) -> dict[str, list[str]]:
    """Trials by system: those of ``GRIDS`` for each of ``systems``, or ``trials`` as they are.

    Raises:
        ValueError: no such system, or systems with settings of their own that have not equally many trials.
    """
    if unknown := [name for name in systems if name not in GRIDS]:
        raise ValueError(f"--systems: {unknown[0]!r}, expected some of {', '.join(GRIDS)}")
    entries = [*trials, *(f"{name}:{changes}".rstrip(":") for name in systems for changes in GRIDS[name])]
    found: dict[str, list[str]] = {}
    for entry in dict.fromkeys(entries):
        found.setdefault(entry.partition(":")[0], []).append(entry)
    counts = {name: len(own) for name, own in found.items() if name not in SYSTEMS or SYSTEMS[name].draws_with}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise ValueError(f"--trials: {told}; a fair choice takes equally many of each, so add or drop some")
    return found


def choose(trials: Mapping[str, Mapping[str, Any]]) -> str:
    """The trial that a system is run with: the highest mean overall score.

    Overall is what the paper's Tables 2 and 3 compare by. It counts pictures that pass all cuts, so of few pictures
    several trials may have the same: of these the highest mean subject score, and then the one that stands first.
    """
    return max(trials, key=lambda entry: (trials[entry]["overall"]["mean"], trials[entry]["subject"]["mean"]))


def subjects_of(world: Benchmark, templates: int, compositional: int, demonstrations: int) -> list[BenchmarkSubject]:
    """Its subjects with their first demonstrations and the first so many prompts of each list."""
    demonstrations_of = pd.DataFrame(world.demonstrations).groupby("subject_id")
    table = pd.DataFrame(world.prompts)
    prompts_of = first_prompts(table[~table["skill"].isin(SHEET_ONLY)], templates, compositional).groupby("subject_id")
    found = []
    for row in pd.DataFrame(world.subjects).itertuples():
        texts = demonstrations_of.get_group(row.subject_id)
        pairs = [(world.demonstration_images[k], t) for k, t in zip(texts["image_id"], texts["text"], strict=True)]
        rows = prompts_of.get_group(row.subject_id)
        ids = tuple(zip(rows["prompt_id"], rows["prompt"], strict=True))
        found.append(BenchmarkSubject(row.subject_id, row.class_name, tuple(pairs[:demonstrations]), ids))
    return found


def settings_of(entry: str, config: Config) -> tuple[str, Config]:
    """The system of a trial, and the configuration with its settings.

    Raises:
        ValueError: no such system, or not of the form SYSTEM:SETTING=VALUE,...
    """
    name, _, changes = entry.partition(":")
    pairs = [change.partition("=") for change in changes.split(",") if change]
    if name not in SYSTEMS or not all(sign for _, sign, _ in pairs):
        raise ValueError(f"--trials: {entry!r}, expected SYSTEM:SETTING=VALUE,... with one of {', '.join(SYSTEMS)}")
    changed = {key: number_of(yaml.safe_load(value)) for key, _, value in pairs}
    section = SYSTEMS[name].section
    settings = config.model_dump(mode="json")
    settings["baselines"][section] |= changed
    return name, Config.model_validate(settings)


def number_of(value: Any) -> Any:
    """YAML reads 2e-4 as text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def judged(drawn: list[Drawn], world: Benchmark, probe: Probe) -> pd.DataFrame:
    """The probe's scores of what was drawn, against references that show the subject as the prompt asks."""
    table = pd.DataFrame([row for d in drawn for row in d.rows]).assign(run="system")
    images = {row["sample_id"]: image for d in drawn for row, image in zip(d.rows, d.images, strict=True)}
    return judge_run(table, images, world.references, probe, world.appearances)


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


def markdown(report: Mapping[str, Any]) -> str:
    """The report as a page: what was done, a row a trial, and where it comes from."""
    protocol, made = report["protocol"], report["provenance"]
    lines = [
        "# Settings of the systems, chosen on subjects outside the benchmark", "",
        f"{protocol['subjects']} subjects of the space {protocol['space']}; prompts a subject: {protocol['templates']} "
        f"of the templates and {protocol['compositional']} compositional. Chosen: the highest overall score, of equals "
        "the highest subject score. Gain: over the base on the same prompts and noise, 95 % interval over subjects.",
        "", "| trial | chosen | overall | subject | text | realism | gain in overall | CPU s to the first picture |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    chosen = set(report["chosen"].values())
    for entry, row in report["systems"].items():
        means = " | ".join(f"{row[score]['mean']:.3f}" for score in ("overall", "subject", "text", "realism"))
        gain = "{gain:+.3f} [{low:+.3f}, {high:+.3f}]".format(**row["overall"])
        sign = "yes" if entry in chosen else ""
        lines.append(f"| `{entry}` | {sign} | {means} | {gain} | {row['cpu_seconds_to_first_picture']:.1f} |")
    lines += ["", f"Made by `{made['command']}` at {made['code_version']} on {made['hardware']}.", ""]
    return "\n".join(lines)


def sheet(subjects: list[BenchmarkSubject], columns: dict[str, list[Drawn]]) -> Sheet:
    """A subject and its first prompt a row; two demonstrations at the left, a trial a column."""
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
    arguments.add_argument("--systems", nargs="+", default=[], metavar="SYSTEM", help="with the trials of GRIDS")
    arguments.add_argument("--trials", nargs="+", default=[], metavar="SYSTEM[:SETTING=VALUE,...]")
    arguments.add_argument("--models", nargs="*", default=[], metavar="SYSTEM=FOLDER", help="models of their own")
    arguments.add_argument("--configfile", nargs="+", default=["config.yaml"], metavar="FILE")
    arguments.add_argument("--subjects", type=int, default=6)
    arguments.add_argument("--templates", type=int, default=2, help="prompts a subject of DreamBench's templates")
    arguments.add_argument("--compositional", type=int, default=6, help="compositional prompts a subject")
    args = arguments.parse_args()
    config = load_config(args.configfile)
    report = read_json(args.report) if args.report.exists() else {}
    trials = trials_of(args.systems, args.trials)
    trials_of([], [*report.get("systems", {}), *(entry for own in trials.values() for entry in own)])
    settled = {entry: settings_of(entry, config) for own in trials.values() for entry in own}
    folders = {name: config.models.apprentice for name, s in SYSTEMS.items() if s.starts_from == "apprentice"}
    folders |= dict(item.split("=", 1) for item in args.models)
    for name in trials:
        if SYSTEMS[name].starts_from != "base" and not folders.get(name):
            arguments.error(f"--models: {name} starts from a model of its own; add {name}=FOLDER")
    if config.evaluation.probe is None:
        arguments.error("evaluation.probe: null, but systems are judged by it")
    # Of a system that trains for every prompt few prompts are drawn, as in the workflow.
    few = min(args.compositional, config.evaluation.trained_prompts_per_subject)
    protocol = {
        "space": f"{VALIDATION}-{config.seed}", "subjects": args.subjects, "templates": args.templates,
        "compositional": args.compositional, "compositional_if_trained_per_prompt": few,
        "demonstrations": config.evaluation.demonstrations, "base": model_digest(config.models.base),
        "probe": model_digest(config.evaluation.probe),
    }  # fmt: skip
    report = report or {"protocol": protocol, "systems": {}, "models": {}}
    models = {name: model_digest(folders[name]) for name in trials if SYSTEMS[name].starts_from != "base"}
    if report.get("protocol") != protocol or any(report["models"].get(n, d) != d for n, d in models.items()):
        arguments.error(f"--report: {args.report} is of other subjects, prompts or models; name another file")
    report["models"] |= models
    device = prepare(config.compute)
    sampling = sampling_settings(Settings(config.model_dump(mode="json")))
    probe = load_probe(config.evaluation.probe, config.compute)
    world = world_benchmark(
        config.seed, args.subjects, args.templates, config.evaluation.demonstrations, 1, args.compositional, VALIDATION
    )
    subjects = subjects_of(world, args.templates, args.compositional, config.evaluation.demonstrations)
    trained = subjects_of(world, 0 if few else args.templates, few, config.evaluation.demonstrations)
    base = load_base(config.models.base).to(device)
    begun = time.perf_counter()

    def plain(model: BaseModel, k: int) -> list[Drawn]:
        return [
            draw_suti(SuTIPipeline.of(model), subject, k, sampling, config.compute, config.seed) for subject in subjects
        ]

    columns = {"base": plain(base, 0)}
    floor = judged(columns["base"], world, probe)
    report |= {
        "what": "systems on subjects of the world, judged by the probe; gain: system less base, same prompts and noise",
        "base": {score: float(subject_means(floor, score).mean()) for score in SCORES},
    }
    for entry, (name, changed) in settled.items():
        system = SYSTEMS[name]
        passed = {key: lookup(changed, key) for key in system.reads}
        if report["systems"].get(entry, {}).get("settings") == passed and not args.sheet:
            continue
        method = load_method(system.name, system.module)
        settings = method.settings_of(passed)
        model = method.load(folders[name]).to(device) if method.load is not None else base
        asked = trained if system.trains_per_prompt else subjects
        drawn = [method.draw(model, subject, settings, sampling, config.compute, config.seed) for subject in asked]
        columns[entry.replace(":", "\n").replace(",", "\n")] = drawn
        found = compared(drawn, judged(drawn, world, probe), floor, config)
        report["systems"][entry] = {"settings": passed, **found}
        print(entry, {score: round(found[score]["mean"], 3) for score in SCORES}, flush=True)
        known: dict[str, dict[str, Any]] = {}
        for key, row in report["systems"].items():
            known.setdefault(key.partition(":")[0], {})[key] = row
        report["chosen"] = {key: choose(own) for key, own in known.items()}
        kept = {"baselines": config.baselines.model_dump(mode="json"), "seed": config.seed}
        report["provenance"] = provenance(kept, time.perf_counter() - begun)
        write_json(args.report, report)
        write_text(args.report.with_suffix(".md"), markdown(report))
    if args.sheet:
        save(sheet(subjects, columns), args.sheet)


if __name__ == "__main__":
    main()
