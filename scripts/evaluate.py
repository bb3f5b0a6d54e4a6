"""Metrics of every picture of one run: DINO, CLIP-I, CLIP-T, the probe's scores, copy check and diversity.

    python scripts/evaluate.py --run base --generations results/generations/base.parquet \\
        --images results/generations/base.tar --references results/benchmark/references.tar \\
        --appearances results/benchmark/appearances.tar \\
        --demonstrations results/benchmark/images.tar --cache results/metrics/cache/base \\
        --metrics results/metrics/base.parquet

Embeddings are kept in CACHE by content, so another formula over the same pictures needs no encoder.
"""

from __future__ import annotations

from pathlib import Path

import torch

from suti.cli.arguments import parser
from suti.evaluation.embedding import Embeddings
from suti.evaluation.judging import judge_run
from suti.evaluation.scoring import score_run
from suti.io import tables
from suti.io.shard_index import LazyPictures, PicturesBySubject, ShardIndex
from suti.models.encoders import load_image_encoder


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--run", required=True, help="name of the run, as in the table of its generations")
    arguments.add_argument("--generations", required=True, help="table 'generations'")
    arguments.add_argument("--images", required=True, help="its image shard")
    arguments.add_argument("--references", required=True, help="shard of real pictures, keys SUBJECT__NN")
    arguments.add_argument(
        "--appearances", required=True, help="shard of real pictures as a prompt asks for them, SUBJECT__PROMPT__NN"
    )
    arguments.add_argument("--demonstrations", required=True, help="shard of demonstrations, keys SUBJECT__NN")
    arguments.add_argument("--cache", required=True, type=Path, metavar="FOLDER", help="embeddings of this run")
    arguments.add_argument("--metrics", required=True, help="table 'image_metrics' to write")
    args = arguments.parse_args()
    s = args.settings
    torch.set_num_threads(s.compute.threads)

    generations = tables.read(args.generations, "generations")
    others = sorted(set(generations["run"]) - {args.run})
    if others or generations.empty:
        seen = f"rows of run {others[0]!r}" if others else "no rows"
        raise ValueError(f"{args.generations}: {seen}, expected run {args.run!r}; delete it and run again")

    embeddings = Embeddings(args.cache, s.compute, load=load_image_encoder, exact=True)
    result = score_run(
        generations,
        ShardIndex(args.images),
        ShardIndex(args.references),
        ShardIndex(args.demonstrations),
        s["evaluation.encoders"],
        embeddings,
    )
    if s["evaluation.probe"]:
        from suti.small_models.probe_network import load_probe

        probe = load_probe(s["evaluation.probe"], s.compute)
        judged = judge_run(
            generations,
            LazyPictures(args.images),
            PicturesBySubject(args.references),
            probe,
            PicturesBySubject(args.appearances),
        )
        result = result.assign(**{name: judged[name] for name in judged if name not in generations})
    tables.write(args.metrics, "image_metrics", result)
    print(f"{args.run}: {len(result)} pictures, {embeddings.embedded} embedded, the rest from {args.cache}")


if __name__ == "__main__":
    main()
