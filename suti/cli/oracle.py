"""``suti oracle``: how similar the real pictures of a subject are to each other, above which no score should be."""

from __future__ import annotations

import argparse
import time

from suti.benchmark.folders import find_references
from suti.cli.measuring import (
    add_options,
    images_only,
    number,
    origin,
    print_table,
    protocols_of,
    settings,
)
from suti.io.atomic import write_json

DESCRIPTION = """
The row of real pictures: every real picture scored as if it were generated, against the others of its subject. With
all references that is the mean over subjects of the mean pairwise cosine. A system above it repeats its references.

The references are a folder a subject: REFERENCES/SUBJECT/*.jpg. The JSON has one entry for each NAME, with mean,
interval, n and how it was measured; with --protocol, one for each PROTOCOL/NAME.
"""

EPILOG = """
examples:
  suti oracle --references dreambooth/dataset --out oracle.json \\
      --encoders CLIP-I=transformers:weights/clip-vit-base-patch16-image DINOv2=transformers:weights/dinov2-small

  suti oracle --references dreambooth/dataset --protocol dreambooth kosmos-g --out oracle.json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "oracle",
        help="score the real pictures of each subject against each other",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; returns the exit status."""
    from suti.evaluation.scoring import metric_entries, prepare, real_pictures, score

    begun = time.perf_counter()
    config, embeddings, bootstrap, seed = settings(options)
    protocols = images_only(protocols_of(options, config))
    references = find_references(options.references)
    _, references = prepare(protocols, [], references, embeddings, copies=False)
    pictures = real_pictures(references)
    result = {}
    for protocol in protocols:
        scores = score(protocol, pictures, references, embeddings, copies=False)
        for name, entry in metric_entries(protocol, scores, embeddings, bootstrap, seed).items():
            result[f"{protocol.name}/{name}" if options.protocol else name] = entry
    rows = [
        [name, number(entry), f"{entry['n_subjects']} / {entry['n_images']}", entry["encoder"]]
        for name, entry in result.items()
    ]
    result["provenance"] = origin(
        options,
        protocols,
        embeddings,
        begun,
        seed=seed,
        bootstrap=bootstrap,
        subjects=len(references),
        images=len(pictures),
    )
    write_json(options.out, result)
    print_table(["metric", "mean [95 % interval]", "subjects / images", "encoder"], rows)
    print(f"{len(pictures)} pictures of {len(references)} subjects; {options.out}")
    return 0
