"""Metrics of one run: DINO, CLIP-I, CLIP-T, the probe's scores, copy check and diversity, per picture and summarised.

    python scripts/evaluate.py --run base --generations results/generations/base.parquet \\
        --images results/generations/base.tar --references results/benchmark/references.tar \\
        --demonstrations results/benchmark/images.tar \\
        --metrics results/metrics/base.parquet --summary results/metrics/base.json
"""

from __future__ import annotations

import torch

from suti.cli.arguments import parser
from suti.evaluation.evaluate import evaluate_run, summary
from suti.io import tables
from suti.io.atomic import write_json
from suti.io.shard_index import LazyPictures, PicturesBySubject
from suti.models.encoders import load_image_encoder, load_text_image_encoder


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--run", required=True, help="name of the run, as in the table of its generations")
    arguments.add_argument("--generations", required=True, help="table 'generations'")
    arguments.add_argument("--images", required=True, help="its image shard")
    arguments.add_argument("--references", required=True, help="shard of real pictures, keys SUBJECT__NN")
    arguments.add_argument("--demonstrations", required=True, help="shard of demonstrations, keys SUBJECT__NN")
    arguments.add_argument("--metrics", required=True, help="table 'image_metrics' to write")
    arguments.add_argument("--summary", required=True, help="JSON to write: means, intervals, protocol")
    args = arguments.parse_args()
    settings = args.settings
    torch.set_num_threads(settings.compute.threads)

    generations = tables.read(args.generations, "generations")
    others = sorted(set(generations["run"]) - {args.run})
    if others or generations.empty:
        seen = f"rows of run {others[0]!r}" if others else "no rows"
        raise ValueError(f"{args.generations}: {seen}, expected run {args.run!r}; delete it and run again")

    specs: dict[str, str] = settings["evaluation.encoders"]
    texts = {spec for metric, spec in specs.items() if metric == "clip_t"}
    loaded = {
        spec: (load_text_image_encoder if spec in texts else load_image_encoder)(spec, settings.compute)
        for spec in sorted(set(specs.values()))
    }
    probe_folder = settings["evaluation.probe"]
    probe = None
    if probe_folder:
        from suti.small_models.probe_network import load_probe

        probe = load_probe(probe_folder, settings.compute)
    result = evaluate_run(
        generations,
        LazyPictures(args.images),
        PicturesBySubject(args.references),
        {metric: loaded[spec] for metric, spec in sorted(specs.items())},
        probe,
        PicturesBySubject(args.demonstrations),
    )
    tables.write(args.metrics, "image_metrics", result)
    report = summary(
        result,
        specs,
        probe_folder,
        probe and probe.thresholds,
        settings["evaluation.bootstrap"],
        settings.seed,
    )
    write_json(args.summary, report)
    for metric, values in report["metrics"].items():
        if values["mean"] is not None:
            print(f"{args.run} {metric}: {values['mean']:.3f} [{values['low']:.3f}, {values['high']:.3f}]")


if __name__ == "__main__":
    main()
