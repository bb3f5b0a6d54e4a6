"""``suti evaluate``: DINO, DINOv2, CLIP-I and CLIP-T of a folder of pictures, by one protocol or several."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suti.benchmark.folders import find_generated, find_references
from suti.benchmark.lists import Prompt, as_prompts, read_prompts
from suti.benchmark.sources import SOURCES, Choice, prompt_list
from suti.cli.measuring import (
    OWN,
    add_options,
    number,
    origin,
    positive,
    print_table,
    protocols_of,
    settings,
    warn,
)
from suti.evaluation.protocols import Protocol
from suti.io.atomic import atomic_path, write_json

DESCRIPTION = """
Score generated pictures of subjects: similarity to real pictures (DINO, DINOv2, CLIP-I) and to prompts (CLIP-T), with
95 % intervals over subjects, the row of real pictures beside them, a check for copies, and diversity.

The prompts are a CSV with columns subject, class, prompt (`suti prompts` writes it). The references are a folder a
subject. With --benchmark and --path both are a benchmark's own, as `suti prompts` lists it. The pictures lie in one of
these ways; NUMBER counts a subject's prompts from 0:

  GENERATED/SUBJECT/NUMBER/*.png      GENERATED/SUBJECT/NUMBER_K.png      GENERATED/SUBJECT__NUMBER__K.png

or under any names, if the CSV has a row a picture and a column `file` with its path below GENERATED.
Embeddings are kept: another protocol over the same pictures takes seconds, and a killed run goes on where it was.
"""

EPILOG = """
examples:
  DreamBench, by the protocol of DreamBooth's paper:
    suti prompts --benchmark dreambench --path dreambooth/dataset --out prompts.csv
    suti evaluate --generated out --benchmark dreambench --path dreambooth/dataset --protocol dreambooth \\
        --out metrics.json

  a part of its prompts, against the same pictures:
    suti evaluate --generated out --prompts some.csv --references dreambooth/dataset --out metrics.json

  as several papers would have measured it:
    suti evaluate ... --protocol dreambooth kosmos-g dreambench-plus imagenhub --out metrics.json

  by encoders of your own (nothing is downloaded):
    suti evaluate ... --encoders DINOv2=transformers:weights/dinov2-small CLIP-I=transformers:weights/clip \\
        CLIP-T=open_clip:local-dir:resources/models/clip --out metrics.json

  Kosmos-G's protocol with a copy of DINO on disk, without its CLIP-T:
    suti evaluate ... --protocol kosmos-g --encoders dino=transformers:weights/dino-vits16 clip_t=none ...

A protocol of your own is a YAML file:
    name: mine
    encoders: {dino: transformers:facebook/dino-vits16}
    references: other            # all, one, or other: all but the one that the system saw
    chosen: {backpack: 02.jpg}   # which is the one; else the first by name

docs/evaluation.md says why published numbers differ.
"""


BENCHMARKS = [name for name, source in SOURCES.items() if not (source.rendered or source.from_csv)]
"""Benchmarks whose path holds both prompts and real pictures."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "evaluate",
        help="score a folder of generated pictures: DINO, CLIP-I, CLIP-T, copies, diversity",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--generated", type=Path, required=True, metavar="DIR", help="pictures to score, see above")
    parser.add_argument("--prompts", type=Path, metavar="CSV", help="columns subject, class, prompt")
    parser.add_argument("--benchmark", metavar="NAME", help=f"of --path, instead: {', '.join(BENCHMARKS)}")
    parser.add_argument("--path", type=Path, metavar="DIR", help="where it lies; see suti prompts --help")
    parser.add_argument(
        "--images", type=positive, metavar="N", help="pictures that each prompt must have (DreamBench: 4)"
    )
    parser.add_argument("--scores", type=Path, metavar="FILE.csv", help="also write the scores of every picture")
    add_options(parser, references_required=False)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; returns the exit status."""
    import pandas as pd  # here, so that other commands need not wait for it

    from suti.evaluation.scoring import one_references, prepare, real_pictures, report, score, unpicked

    begun = time.perf_counter()
    config, embeddings, bootstrap, seed = settings(options)
    protocols = protocols_of(options, config)
    prompts, folder = prompts_and_references(options)
    references = find_references(folder, (prompt.subject for prompt in prompts))
    pictures = find_generated(options.generated, prompts, options.images, options.partial)
    pictures, references = prepare(protocols, pictures, references, embeddings)
    if not pictures:
        raise ValueError(f"{options.generated}: no picture can be read")
    reports, tables = {}, []
    for protocol in protocols:
        generated = score(protocol, pictures, references, embeddings)
        real = score(protocol, real_pictures(references), references, embeddings)
        reports[protocol.name] = report(protocol, generated, real, embeddings, bootstrap, seed)
        reports[protocol.name]["one_reference"] = one_references(protocol, references)
        if left := unpicked(protocol, references):
            warn(
                f"{protocol.name}: its one reference of {len(left)} subjects ({left[0]}, ...) is not there, or not "
                "named; the first by name is taken"
            )
        tables.append(pd.concat([generated, real]).assign(protocol=protocol.name))
    own = reports[OWN]["metrics"] if OWN in reports else {}
    result = {
        **own,
        "protocols": reports,
        "provenance": origin(
            options,
            protocols,
            embeddings,
            begun,
            seed=seed,
            bootstrap=bootstrap,
            subjects=len(references),
            prompts=len({(prompt.subject, prompt.number) for prompt in prompts}),
            images=len(pictures),
            embedded=embeddings.embedded,
        ),
    }
    write_json(options.out, result)
    if options.scores:
        with atomic_path(options.scores) as part:
            pd.concat(tables).to_csv(part, index=False)
    show(protocols, reports)
    count = result["provenance"]["prompts"]
    print(f"{len(pictures)} pictures, {count} prompts, {len(references)} subjects; {options.out}")
    if embeddings.bad:
        warn(f"{len(embeddings.bad)} pictures could not be read and are left out; left_out in {options.out} names them")
    return 0


def prompts_and_references(options: argparse.Namespace) -> tuple[list[Prompt], Path]:
    """The prompts, and the folder of the real pictures: those of files, or a benchmark's own.

    Raises:
        ValueError: one is lacking, or both are named.
    """
    if options.benchmark is None:
        lacking = [name for name in ("prompts", "references") if getattr(options, name) is None]
        if lacking:
            raise ValueError(f"--{lacking[0]}: needed, or --benchmark and --path in place of prompts and references")
        return read_prompts(options.prompts), options.references
    if options.benchmark not in BENCHMARKS:
        hint = "; render the world's with suti prompts --pictures" if options.benchmark in SOURCES else ""
        raise ValueError(f"--benchmark: {options.benchmark!r}, expected one of {', '.join(BENCHMARKS)}{hint}")
    if options.path is None:
        raise ValueError(f"--path: needed for {options.benchmark}; see suti prompts --help for what it holds")
    if options.prompts or options.references:
        raise ValueError("--benchmark: has prompts and references of its own; name either it or files")
    path = options.path.expanduser()
    return as_prompts(prompt_list(options.benchmark, Choice(path=path, option="--path"))), path


def show(protocols: list[Protocol], reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the numbers of each protocol beside those of real pictures, and what looks wrong."""
    rows = []
    for protocol in protocols:
        found = reports[protocol.name]
        for metric, entry in found["metrics"].items():
            real = number(found["real"][metric]) if metric in found["real"] else "-"
            mark = "*" if entry["replaced"] else ""
            n = f"{entry['n_subjects']} / {entry['n_images']}"
            rows.append([protocol.name, metric, number(entry), real, n, protocol.references, entry["encoder"] + mark])
        for name in ("copies_dino", "copies_pixels"):
            entry, real = found["copies"][name], found["copies"]["real"][name]
            n = f"{entry['n_subjects']} / {entry['n_images']}"
            what = found["copies"]["embeddings"] or "" if name == "copies_dino" else "pixels"
            rows.append([protocol.name, f"copies ({what})", number(entry), number(real), n, "all", "share of pictures"])
        entry = found["diversity"]
        n = f"{entry['n_subjects']} / {entry['n_images']}"
        rows.append([protocol.name, "diversity", number(entry), "-", n, "-", entry["rule"]])
    head = ["protocol", "metric", "mean [95 % interval]", "real pictures", "subjects / images", "references", "by"]
    print_table(head, rows)
    if any(found["replaced"] for found in reports.values()):
        print("* in the place of the protocol's own encoder: not comparable with its published numbers")
    for name, found in reports.items():
        for item in found["suspicious"]:
            if item["above_real"]:
                warn(f"{name}, {item['metric']}: {item['mean']:.3f}, real pictures {item['real']:.3f}: {item['why']}")
