"""The benchmark: held-out subjects, prompts, demonstrations, real pictures for the metrics, and the run
'real'.

    python scripts/prepare_benchmark.py --subjects subjects.parquet --prompts prompts.parquet \\
        --demonstrations demonstrations.parquet --images images.tar --references references.tar \\
        --appearances appearances.tar \\
        --targets targets.parquet --target-images targets.tar \\
        --settings '{"evaluation.benchmark": "dreambench", "evaluation.path": "dreambooth/dataset", ...}'
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from suti.benchmark.contents import Benchmark, thinned
from suti.benchmark.sources import Choice, find_source
from suti.cli.arguments import parser
from suti.config.settings import Settings
from suti.io import tables
from suti.io.shards import encode_png, write_shard


def load(settings: Settings) -> Benchmark:
    """The benchmark that the settings name."""
    choice = Choice(
        path=Path(settings["evaluation.path"]).expanduser(),
        prompts=Path(settings["evaluation.prompts"]).expanduser(),
        subjects=settings["evaluation.subjects"],
        prompts_per_subject=settings["evaluation.prompts_per_subject"],
        seed=settings.seed,
        demonstrations=max([settings["evaluation.demonstrations"], *settings["evaluation.demonstration_grid"]]),
        compositional=settings["evaluation.compositional_prompts_per_subject"],
        images_per_prompt=settings["evaluation.images_per_prompt"],
        max_pixels=settings["pages.max_pixels"],
    )
    whole = find_source(settings["evaluation.benchmark"]).benchmark(choice)
    main = settings["evaluation.main_subjects"]
    return whole if main is None else thinned(whole, main, settings["evaluation.ablation_prompts_per_subject"])


def main() -> None:
    arguments = parser(__doc__)
    for name, what in {
        "subjects": "table 'benchmark_subjects'",
        "prompts": "table 'benchmark_prompts'",
        "demonstrations": "table 'demonstrations'",
        "images": "shard of the demonstrations' pictures",
        "references": "shard of real pictures, keys SUBJECT__NN",
        "appearances": "shard of real pictures as a prompt asks for them, keys SUBJECT__PROMPT__NN",
        "targets": "table 'generations' of the run 'real'",
        "target-images": "its shard of pictures",
    }.items():
        arguments.add_argument(f"--{name}", required=True, metavar="FILE", help=f"{what}, to write")
    args = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    result = load(args.settings)

    def numbered(groups: Mapping[str, Sequence[np.ndarray]]) -> Iterator[tuple[str, bytes]]:
        for key, pictures in groups.items():
            for number, picture in enumerate(pictures):
                yield f"{key}__{number:02d}.png", encode_png(picture)

    write_shard(args.images, ((f"{k}.png", encode_png(v)) for k, v in result.demonstration_images.items()))
    write_shard(args.references, numbered(result.references))
    write_shard(args.appearances, numbered(result.appearances))
    write_shard(args.target_images, ((f"{k}.png", encode_png(v)) for k, v in result.target_images.items()))
    tables.write(args.subjects, "benchmark_subjects", result.subjects)
    tables.write(args.prompts, "benchmark_prompts", result.prompts)
    tables.write(args.demonstrations, "demonstrations", result.demonstrations)
    tables.write(args.targets, "generations", result.targets)
    print(
        f"{len(result.subjects)} subjects, {len(result.prompts)} prompts, {len(result.demonstrations)} "
        "demonstrations, "
        f"{len(result.targets)} real pictures"
    )


if __name__ == "__main__":
    main()
