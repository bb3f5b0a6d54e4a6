"""The score of true pictures: for each sample the world's own picture of its subject and prompt, scored likewise.

    python scripts/score_truth.py --score delta_clip --samples results/experts/samples-*.parquet \\
        --pictures results/experts/samples-*.tar --embeddings results/scores/embeddings-*.safetensors \\
        --subjects results/subjects/subjects-*.parquet --truth results/world/truth.parquet \\
        --scores results/scores/truth-delta_clip.parquet \\
        --settings '{"seed": 0, "compute": {}, "filtering.encoder": "open_clip:local-dir:resources/models/clip"}'

So it can be said what share of perfect pictures a cut keeps. A sample whose prompt has no true picture has no row.
"""

from __future__ import annotations

import pandas as pd
import torch
from tqdm.auto import tqdm

from suti.benchmark.page_subjects import asked_of, page_subjects, true_pictures
from suti.cli.arguments import parser
from suti.experts.embedding import SubjectEmbeddings, read_embeddings
from suti.filtering import SCORES, score_samples
from suti.io import tables
from suti.io.shard_index import ShardIndex
from suti.models.encoders import load_text_image_encoder


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--score", required=True, choices=list(SCORES), help="name of the score")
    arguments.add_argument("--samples", nargs="+", required=True, help="tables 'samples' of all shards")
    arguments.add_argument("--pictures", nargs="+", required=True, help="their pictures, whose size a true one has")
    arguments.add_argument("--embeddings", nargs="+", required=True, help="their embeddings, in the same order")
    arguments.add_argument("--subjects", nargs="+", required=True, help="tables 'subjects' of all parts")
    arguments.add_argument("--truth", required=True, help="table 'truth' of the world's pages")
    arguments.add_argument("--scores", required=True, metavar="FILE", help="table 'scores' to write")
    args = arguments.parse_args()
    s = args.settings
    torch.set_num_threads(s.compute.threads)
    clip = load_text_image_encoder(s["filtering.encoder"], s.compute)
    named = tables.read_all(args.subjects, "subjects")
    pages = page_subjects(tables.read(args.truth, "truth"))
    scores, count = [], 0
    for path, shard, embeddings in zip(tqdm(args.samples, desc="shards"), args.pictures, args.embeddings, strict=True):
        samples = tables.read(path, "samples")
        count += len(samples)
        asked = asked_of(samples, named, pages)
        if asked.empty:
            continue
        size = ShardIndex(shard).picture(samples["sample_id"].iloc[0]).shape[0]
        places = samples.groupby("subject_id").cumcount()
        known, found = read_embeddings(embeddings), {}
        for subject_id, rows in asked.groupby("subject_id", sort=False):
            own = known[str(subject_id)]
            pictures = clip.embed(true_pictures(rows, pages, s.seed, size))
            found[str(subject_id)] = SubjectEmbeddings(
                pictures, own.prompts[places[rows.index].to_numpy()], own.demonstrations
            )
        scores.append(score_samples(args.score, asked, found))
    result = pd.concat(scores, ignore_index=True) if scores else []
    tables.write(args.scores, "scores", result)
    print(f"{args.score} of {len(result)} true pictures; {count - len(result)} of {count} samples have none")


if __name__ == "__main__":
    main()
