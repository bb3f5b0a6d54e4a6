"""Judge experts on subjects of the world: subject and text scores, seconds an expert, and what the filter does to them.

    python studies/report_experts.py --report docs/results/experts.json --figure docs/images/experts.png

The evidence behind the default of `experts` in config.yaml and behind docs/experts.md. Subjects, demonstrations and
prompts are those of another seed than the benchmark's, so the choice is not made on what Table 1 is measured on. Base
and experts draw the same prompts from the same noise. A setting is METHOD:RANK:RATE:STEPS, or with how its experts draw
METHOD:RANK:RATE:STEPS:SAMPLING_STEPS:GUIDANCE. After `subject-` their texts name the subject alone; after `plain-` they
are trained by the usual loop, one after another, to compare. Prompts are compositional. Of each setting's samples the
report has the share that fails (subject and text do not both pass), the share with delta-CLIP of 0 or less (a
demonstration fits the prompt as well: how a copy shows), and the same of what the filter of Eq. 6 keeps at 0 and at its
default. The report is written anew after every setting, and settings that it holds already are not run again.
"""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image
from tqdm.auto import tqdm

from suti.benchmark.contents import Benchmark
from suti.benchmark.world import world_benchmark
from suti.cli.arguments import parser
from suti.compute import autocast, prepare
from suti.config.load import load_config
from suti.config.schema import Config, Experts
from suti.config.values import COMPOSITIONAL
from suti.diffusion.settings import Sampling
from suti.evaluation.bootstrap import interval, subject_means
from suti.evaluation.judging import judge_run
from suti.experts.batched.memory import fit_machine
from suti.experts.embedding import embed_subject
from suti.experts.fine_tuning import fine_tune, subject_unet
from suti.experts.run import ExpertResult, ExpertTask, fine_tuning, run_experts, training_set
from suti.figures.style import BLUE, GREEN, GREY, INK, PINK, RC, VERMILION, save
from suti.filtering import delta_clip, resolve_lambda
from suti.io.atomic import read_json, write_json
from suti.io.provenance import provenance
from suti.io.shards import encode_png
from suti.language.text import with_article
from suti.models.base import load_base
from suti.models.drawing import draw
from suti.models.encoders import load_text_image_encoder
from suti.seeds import torch_generator
from suti.small_models.probe_network import load_probe

SEED = 1  # of subjects and prompts; the benchmark's is `seed` of the configuration, 0
GRID = [
    *(f"lora:16:{rate}:{steps}" for steps in (13, 26) for rate in ("2e-3", "4e-3")),
    "lora:16:1e-3:26",
    "lora:8:2e-3:26",
    "full:0:2e-4:26",
    "lora:16:2e-3:80",
    "full:0:2e-4:80",
    "subject-lora:16:2e-3:80",
    "subject-full:0:2e-4:80",
    "lora:16:2e-3:26:12:3",
    "lora:16:2e-3:26:20:2",
]
PLAIN, ALONE = "plain-", "subject-"
SCORES = ("subject", "text", "realism")


def tasks_of(subjects: int, prompts: int) -> tuple[list[ExpertTask], Benchmark]:
    """Experts to train on compositional prompts, and the benchmark that has their real pictures."""
    world = world_benchmark(SEED, subjects, 0, 5, 1, prompts)
    demonstrations_table, prompts_table = pd.DataFrame(world.demonstrations), pd.DataFrame(world.prompts)
    prompts_table = prompts_table[prompts_table["skill"] == COMPOSITIONAL]
    tasks = []
    for name, rows in demonstrations_table.groupby("subject_id"):
        chosen = prompts_table[prompts_table["subject_id"] == name]
        pictures = tuple(encode_png(world.demonstration_images[key]) for key in rows["image_id"])
        pairs = tuple(zip(chosen["prompt_id"], chosen["prompt"], strict=True))
        tasks.append(ExpertTask(str(name), pictures, tuple(rows["text"]), pairs))
    return tasks, world


def settings_of(name: str, default: Experts) -> Experts:
    """Settings of experts of METHOD:RANK:RATE:STEPS, or of that with :SAMPLING_STEPS:GUIDANCE.

    Raises:
        ValueError: not of this form.
    """
    try:
        method, rank, rate, steps, *drawing = name.split(":")
        method = method.removeprefix(PLAIN).removeprefix(ALONE)
        changed: dict[str, Any] = {"method": method, "learning_rate": float(rate), "steps": int(steps)}
        if drawing:
            sampling_steps, guidance = drawing
            changed |= {"num_inference_steps": int(sampling_steps), "guidance_scale": float(guidance)}
        changed |= {"lora_rank": int(rank)} if method == "lora" else {}
    except ValueError as error:
        raise ValueError(f"--settings-grid: {name!r}, expected METHOD:RANK:RATE:STEPS, e.g. lora:8:2e-3:40") from error
    return Experts.model_validate(default.model_dump() | changed)


def one_by_one(
    tasks: list[ExpertTask], base: Any, settings: Experts, config: Config
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """What experts draw that the usual loop trained, from the same keys: same start, pictures, noise and timesteps."""
    samples: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    for task in tqdm(tasks, desc="one after another", mininterval=5):
        with subject_unet(base, fine_tuning(settings)) as (_, parameters):
            key = (config.seed, "expert", task.subject_id)
            fine_tune(base, parameters, training_set(task, base), fine_tuning(settings), config.compute, key)
            drawn = samples_of([task], base, config)
        samples |= drawn[0]
        rows += drawn[1]
    return samples, rows


def judge(
    samples: dict[str, np.ndarray], rows: list[dict[str, Any]], world: Benchmark, probe: Any
) -> pd.DataFrame:  # fmt: skip
    """The probe's scores of samples."""
    table = pd.DataFrame(rows).assign(run="experts", image_index=0)
    return judge_run(table, samples, world.references, probe, world.appearances)


def filtered(
    judged: pd.DataFrame, samples: dict[str, np.ndarray], tasks: list[ExpertTask], config: Config, probe: Any
) -> dict[str, Any]:
    """Failures, delta-CLIP of 0 or less, and both of what the filter keeps at 0 and at the default lambda."""
    encoder = load_text_image_encoder(config.filtering.encoder, config.compute)
    scores = []
    for task in tasks:
        rows = judged[judged["subject_id"] == task.subject_id]
        pictures = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in task.images]
        prompts = dict(task.prompts)
        found = embed_subject(
            encoder, [samples[key] for key in rows["sample_id"]], [prompts[key] for key in rows["prompt_id"]], pictures
        )
        scores += [
            (key, delta_clip(sample, prompt, found.demonstrations))
            for key, sample, prompt in zip(rows["sample_id"], found.samples, found.prompts, strict=True)
        ]
    delta = judged["sample_id"].map(dict(scores)).to_numpy()
    fails = 1 - np.logical_and(*((judged[name] >= probe.thresholds[name]) for name in ("subject", "text"))).to_numpy()
    kept = {lam: delta > resolve_lambda(lam, delta) for lam in ("0", config.filtering.default)}
    return {
        "failed": float(fails.mean()),
        "failed_by_text": float((judged["text"] < probe.thresholds["text"]).mean()),
        "failed_by_subject": float((judged["subject"] < probe.thresholds["subject"]).mean()),
        "delta_at_most_0": float((delta <= 0).mean()),
        "kept": {
            lam: {"share": float(which.mean()), "failed": float(fails[which].mean()) if which.any() else None}
            for lam, which in kept.items()
        },
    }


def drawn_by(results: list[ExpertResult]) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """What some experts drew: pictures by sample_id, and rows of table 'samples'."""
    rows = [row for result in results for row in result.samples]
    pictures = [picture for result in results for picture in result.pictures]
    return {row["sample_id"]: picture for row, picture in zip(rows, pictures, strict=True)}, rows


def samples_of(
    tasks: list[ExpertTask], base: Any, config: Config
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """What the base, or what it was fine-tuned to, draws for the same prompts from the same noise."""
    samples: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    for task in tqdm(tasks, desc="base", mininterval=5, disable=len(tasks) == 1):
        noise = [torch_generator(config.seed, "sample", task.subject_id, pid, 0) for pid, _ in task.prompts]
        with autocast(config.compute, base.device):
            images = draw(base, [p for _, p in task.prompts], None, noise, Sampling.of(config.experts))
        for (pid, prompt), image in zip(task.prompts, images, strict=True):
            sample_id = f"{task.subject_id}_{pid}_0"
            samples[sample_id] = image
            rows.append({"sample_id": sample_id, "subject_id": task.subject_id, "prompt_id": pid, "prompt": prompt})
    return samples, rows


def compared(found: pd.DataFrame, base: pd.DataFrame, config: Config) -> dict[str, Any]:
    """Means, and differences to the base with their 95 % interval over subjects."""
    result: dict[str, Any] = {}
    for score in SCORES:
        ours, theirs = (subject_means(frame, score).to_numpy() for frame in (found, base))
        mean, low, high = interval(ours - theirs, config.evaluation.bootstrap, config.seed)
        result[score] = {"mean": float(ours.mean()), "gain": mean, "low": low, "high": high}
    return result


def plot(report: dict[str, Any], path: Path) -> None:
    """Subject score gained and text score kept against seconds an expert."""
    looks = {"full": (INK, "s"), "lora 4": (GREEN, "o"), "lora 8": (BLUE, "o"), "lora 16": (PINK, "o")}
    with plt.rc_context(RC):
        fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.9), sharex=True, layout="constrained")
        for axis, score, title in zip(axes, ("subject", "text"), ("subject score", "text score"), strict=True):
            axis.axhline(0, color=GREY, linewidth=1, linestyle=":")
            for name, row in report["experts"].items():
                if name.startswith(PLAIN):
                    continue
                method, rank, _, steps, *_ = name.split(":")
                colour, marker = looks.get("full" if method == "full" else f"lora {rank}", (GREY, "x"))
                many = int(steps) > min(int(other.split(":")[3]) for other in report["experts"])
                value = row[score]
                axis.errorbar(
                    row["seconds_an_expert"], value["gain"],
                    yerr=[[value["gain"] - value["low"]], [value["high"] - value["gain"]]],
                    color=colour, marker=marker, markersize=8 if many else 5, elinewidth=0.7, alpha=0.85,
                )  # fmt: skip
                if name == report["default"]:
                    axis.plot(row["seconds_an_expert"], value["gain"], "o", markersize=16, mfc="none", mec=VERMILION)
            axis.set_title(f"{title}: expert less base", loc="left")
            axis.set_xlabel("seconds an expert, training and drawing")
        for label, (colour, marker) in looks.items():
            axes[0].plot([], [], marker, color=colour, label=label)
        axes[0].plot([], [], "o", markersize=11, mfc="none", mec=VERMILION, label="default")
        axes[0].plot([], [], "o", color=GREY, markersize=8, label="large: more steps")
        axes[0].legend(loc="lower right", fontsize=8)
        save(fig, path)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--report", type=Path, required=True, help="JSON to write, and to go on from")
    arguments.add_argument("--figure", type=Path, required=True, help="PNG to write")
    arguments.add_argument(
        "--settings-grid", nargs="+", default=GRID, metavar="METHOD:RANK:RATE:STEPS[:SAMPLING_STEPS:GUIDANCE]"
    )
    arguments.add_argument("--subjects", type=int, default=16, help="experts a setting")
    arguments.add_argument("--prompts", type=int, default=4, help="prompts an expert")
    args = arguments.parse_args()
    config = load_config(["config.yaml"])
    device = prepare(config.compute)
    base = load_base(config.models.base).to(device)
    if config.evaluation.probe is None:
        arguments.error("evaluation.probe: null, but experts are judged by it")
    probe = load_probe(config.evaluation.probe, config.compute)
    tasks, world = tasks_of(args.subjects, args.prompts)
    floor = judge(*samples_of(tasks, base, config), world, probe)
    e = config.experts
    default = f"{e.method}:{e.lora_rank if e.method == 'lora' else 0}:{e.learning_rate:.0e}:{e.steps}"
    report = read_json(args.report) if args.report.exists() else {"experts": {}}
    report |= {
        "what": "experts on subjects of the world, judged by the probe; gain: expert less base, same prompts and noise",
        "subjects": len(tasks), "prompts": args.prompts, "default": default.replace("e-0", "e-"),
        "base": {score: float(subject_means(floor, score).mean()) for score in SCORES},
    }  # fmt: skip
    begun = time.perf_counter()
    for name in tqdm([n for n in args.settings_grid if n not in report["experts"]], desc="settings"):
        settings = settings_of(name, config.experts)
        nouns = {row["subject_id"]: row["class_name"] for row in world.subjects}
        taught = [
            replace(task, texts=(with_article(nouns[task.subject_id]),) * len(task.texts)) if ALONE in name else task
            for task in tasks
        ]
        start, count = time.perf_counter(), 1
        if name.startswith(PLAIN):
            samples, rows = one_by_one(taught, base, settings, config)
        else:
            like = training_set(tasks[0], base)
            count = fit_machine("auto", settings.batch_size, base, fine_tuning(settings), config.compute, like).experts
            results = []
            for first in range(0, len(taught), count):
                group = taught[first : first + count]
                addresses = [task.subject_id for task in group]
                results += run_experts(group, addresses, base, settings, config.compute, config.seed)
            samples, rows = drawn_by(results)
        row = {"experts_at_once": count, "seconds_an_expert": (time.perf_counter() - start) / len(tasks)}
        judged = judge(samples, rows, world, probe)
        report["experts"][name] = row | compared(judged, floor, config)
        report["experts"][name] |= {"filter": filtered(judged, samples, tasks, config, probe)}
        print(name, {score: round(report["experts"][name][score]["gain"], 3) for score in SCORES},
              report["experts"][name]["filter"], flush=True)  # fmt: skip
        settled = {"experts": config.experts.model_dump(mode="json"), "seed": SEED}
        report["provenance"] = provenance(settled, time.perf_counter() - begun)
        write_json(args.report, report)
    write_json(args.report, report)
    plot(report, args.figure)


if __name__ == "__main__":
    main()
