"""The benchmark: held-out subjects, prompts, demonstrations, real pictures for the metrics, and the run
'real'.

    python scripts/prepare_benchmark.py --subjects subjects.parquet --prompts prompts.parquet \\
        --demonstrations demonstrations.parquet --images images.tar --references references.tar \\
        --targets targets.parquet --target-images targets.tar \\
        --settings '{"evaluation.benchmark": "dreambench", "evaluation.path": "dreambooth/dataset", ...}'
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from suti.benchmark import sources as benchmark
from suti.cli.arguments import parser
from suti.config.settings import Settings
from suti.io import tables
from suti.io.shards import encode_png, write_shard


def load(settings: Settings) -> benchmark.Benchmark:
    """The benchmark that the settings name."""
    main = settings["evaluation.main_subjects"]
    if main is None:
        return whole(settings)
    return benchmark.thinned(whole(settings), main, settings["evaluation.ablation_prompts_per_subject"])


def whole(settings: Settings) -> benchmark.Benchmark:
    """All prompts of all its subjects."""
    source = settings["evaluation.benchmark"]
    subjects, prompts = settings["evaluation.subjects"], settings["evaluation.prompts_per_subject"]
    if source == "world":
        shown = max([settings["evaluation.demonstrations"], *settings["evaluation.demonstration_grid"]])
        return benchmark.from_world(
            settings.seed, subjects, prompts, shown, settings["evaluation.images_per_prompt"],
            settings["evaluation.demonstration_spread"],
        )  # fmt: skip
    path, max_pixels = Path(settings["evaluation.path"]).expanduser(), settings["pages.max_pixels"]
    if source == "csv":
        return benchmark.listed(path, Path(settings["evaluation.prompts"]).expanduser(), subjects, prompts, max_pixels)
    read = benchmark.dreambench if source == "dreambench" else benchmark.folders
    return read(path, subjects, prompts, max_pixels)


def main() -> None:
    arguments = parser(__doc__)
    for name, what in {
        "subjects": "table 'benchmark_subjects'",
        "prompts": "table 'benchmark_prompts'",
        "demonstrations": "table 'demonstrations'",
        "images": "shard of the demonstrations' pictures",
        "references": "shard of real pictures, keys SUBJECT__NN",
        "targets": "table 'generations' of the run 'real'",
        "target-images": "its shard of pictures",
    }.items():
        arguments.add_argument(f"--{name}", required=True, metavar="FILE", help=f"{what}, to write")
    args = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    result = load(args.settings)

    def references() -> Iterator[tuple[str, bytes]]:
        for subject_id, pictures in result.references.items():
            for number, picture in enumerate(pictures):
                yield f"{subject_id}__{number:02d}.png", encode_png(picture)

    write_shard(args.images, ((f"{k}.png", encode_png(v)) for k, v in result.demonstration_images.items()))
    write_shard(args.references, references())
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
