"""The probe's scores of what the apprentice learns from: the experts' samples, or planted copies.

    python scripts/judge_samples.py --run experts --samples results/experts/samples-*.parquet \\
        --pictures results/experts/samples-*.tar --subjects results/subjects/subjects-*.parquet \\
        --truth results/world/truth.parquet --metrics results/metrics/experts.parquet \\
        --settings '{"seed": 0, "compute": {}, "evaluation.probe": "resources/models/probe"}'

They are judged as the benchmark's pictures are, by references of their own page's subject. Rows whose picture is not in
the shard beside them are passed by, and so are prompts without a true picture. Similarities stay empty.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from suti.benchmark.page_subjects import asked_of, page_subjects, real_pictures
from suti.cli.arguments import parser
from suti.evaluation.judging import judge_run
from suti.io import tables
from suti.io.shard_index import LazyPictures
from suti.small_models.probe_network import load_probe


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--run", required=True, help="what the column `run` says")
    arguments.add_argument("--samples", nargs="+", required=True, help="tables 'samples'")
    arguments.add_argument("--pictures", nargs="+", required=True, help="shards of their pictures, in the same order")
    arguments.add_argument("--subjects", nargs="+", required=True, help="tables 'subjects' of all parts")
    arguments.add_argument("--truth", required=True, help="table 'truth' of the world's pages")
    arguments.add_argument("--metrics", required=True, metavar="FILE", help="table 'image_metrics' to write")
    args = arguments.parse_args()
    s = args.settings
    torch.set_num_threads(s.compute.threads)
    probe = load_probe(s["evaluation.probe"], s.compute)
    named = tables.read_all(args.subjects, "subjects")
    pages = page_subjects(tables.read(args.truth, "truth"))
    judged, count = [], 0
    for path, shard in zip(args.samples, args.pictures, strict=True):
        samples, pictures = tables.read(path, "samples"), LazyPictures(shard)
        samples = samples[np.array([key in pictures for key in samples["sample_id"]], bool)]
        count += len(samples)
        asked = asked_of(samples, named, pages).assign(run=args.run)
        references, appearances = real_pictures(asked, pages, s.seed)
        judged.append(judge_run(asked, pictures, references, probe, appearances))
    # by name, so that the table does not depend on which shard a subject is in
    result = pd.concat(judged).sort_values("sample_id", ignore_index=True)
    empty = [name for name in tables.schema("image_metrics").names if name not in result]
    tables.write(args.metrics, "image_metrics", result.assign(**dict.fromkeys(empty, float("nan"))))
    print(f"{args.run}: {len(result)} of {count} pictures judged; the others' prompts have no true picture")


if __name__ == "__main__":
    main()
