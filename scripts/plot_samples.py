"""A sheet of sample pictures (Figs. 1 and 4 to 9), as PNG and CSV.

    python scripts/plot_samples.py --kind comparison --benchmark results/benchmark \\
        --runs real base dreambooth suti-q0.4-k4 --generations ... --images ... \\
        --png sheet.png --csv sheet.csv

Kinds: skills, comparison, compositional, lambda, demonstrations, failures and dream_suti (of --runs, tables and shards
in the same order), and experts (of --scores, --samples, --pictures, --prompts, --report, --inputs and --input-images).
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import pandas as pd

from suti.cli.arguments import parser
from suti.evaluation.summary import probe_thresholds
from suti.figures import grids, samples, verdicts
from suti.figures.style import save_csv
from suti.io import tables
from suti.io.atomic import read_json
from suti.io.shards import read_images

KINDS = ("skills", "comparison", "compositional", "lambda", "demonstrations", "failures", "dream_suti", "experts")


def arguments() -> ArgumentParser:
    """All of the script's arguments."""
    result = parser(__doc__)
    result.add_argument("--kind", required=True, choices=KINDS)
    result.add_argument("--benchmark", type=Path, help="folder of the prepared benchmark")
    result.add_argument("--runs", nargs="*", default=[], help="names of the runs, in the order of the columns")
    result.add_argument("--generations", nargs="*", default=[], help="table 'generations' of each run")
    result.add_argument("--images", nargs="*", default=[], help="image shard of each run")
    result.add_argument(
        "--metrics", nargs="*", default=[], help="tables 'image_metrics' (failures, dream_suti, experts)"
    )
    result.add_argument("--probe", help="folder of the judge, which has its limits (failures, experts)")
    result.add_argument("--scores", help="table 'scores' of all samples (experts)")
    result.add_argument("--samples", nargs="*", default=[], help="tables 'samples' to choose from (experts)")
    result.add_argument("--pictures", nargs="*", default=[], help="shards of their pictures (experts)")
    result.add_argument("--prompts", nargs="*", default=[], help="tables 'prompts', with the skills (experts)")
    result.add_argument("--report", help="filtered/{lambda}.json of the default lambda (experts)")
    result.add_argument("--inputs", nargs="*", default=[], help="tables 'demonstrations' (experts)")
    result.add_argument("--input-images", nargs="*", default=[], help="shards of demonstrations (experts)")
    result.add_argument("--png", required=True)
    result.add_argument("--csv", required=True)
    return result


def gallery(args: Namespace) -> samples.Gallery:
    """The benchmark and the runs that the arguments name."""
    if not len(args.runs) == len(args.generations) == len(args.images):
        raise ValueError(
            f"--runs names {len(args.runs)}, --generations {len(args.generations)}, --images "
            f"{len(args.images)} files; "
            "expected as many of each, in the same order"
        )
    return samples.Gallery(
        subjects=tables.read(args.benchmark / "subjects.parquet", "benchmark_subjects"),
        prompts=tables.read(args.benchmark / "prompts.parquet", "benchmark_prompts"),
        demonstrations=tables.read(args.benchmark / "demonstrations.parquet", "demonstrations"),
        shown=read_images(args.benchmark / "images.tar"),
        generations=tables.read_all(args.generations, "generations"),
        images={run: read_images(path) for run, path in zip(args.runs, args.images, strict=True)},
        metrics=pd.concat([tables.read(path, "image_metrics") for path in args.metrics]) if args.metrics else None,
    )


def limits(args: Namespace) -> dict[str, float]:
    """The judge's limits by score, none where there is no judge."""
    return probe_thresholds(args.probe) if args.probe else {}


def expert_sheet(args: Namespace) -> grids.Sheet:
    """What the experts drew, and what the filter kept of it."""
    scored = tables.read_all(args.samples, "samples").merge(tables.read(args.scores, "scores"))
    prompts = tables.read_all(args.prompts, "prompts")[["prompt_id", "skill"]]
    scored = scored.merge(prompts, on="prompt_id")
    for path in args.metrics:
        judged = tables.read(path, "image_metrics")[["sample_id", "subject", "text"]]
        scored = scored.merge(judged, on="sample_id", how="left")
    return verdicts.experts(
        scored,
        read_json(args.report)["threshold"],
        read_images(args.pictures),
        tables.read_all(args.inputs, "demonstrations"),
        read_images(args.input_images),
        args.settings["filtering.score"],
        limits(args) if args.metrics else None,
    )


def sheet(args: Namespace) -> grids.Sheet:
    """The sheet of the kind asked for."""
    if args.kind == "experts":
        return expert_sheet(args)
    shown, run = gallery(args), args.runs[0]
    if args.kind == "skills":
        return samples.skills(shown, run, 3)
    if args.kind == "comparison":
        return samples.comparison(shown, args.runs)
    if args.kind == "compositional":
        return samples.compositional(shown, run)
    if args.kind == "failures":
        return verdicts.failures(shown, run, limits(args))
    if args.kind == "dream_suti":
        return verdicts.mended(shown, args.runs)
    return samples.sweep(shown, args.runs, args.kind)


def main() -> None:
    args = arguments().parse_args()
    result = sheet(args)
    save_csv(grids.table(result), args.csv)
    grids.save(result, args.png)


if __name__ == "__main__":
    main()
