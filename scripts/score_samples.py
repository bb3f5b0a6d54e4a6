"""One score of all samples: a number of each, by their embeddings (delta-CLIP: Eq. 6).

    python scripts/score_samples.py --score delta_clip --samples results/experts/samples-*.parquet \\
        --embeddings results/scores/embeddings-*.safetensors --scores results/scores/delta_clip.parquet
"""

from __future__ import annotations

import pandas as pd

from suti.cli.arguments import parser
from suti.experts.embedding import read_embeddings
from suti.filtering import SCORES, score_samples
from suti.io import tables


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--score", required=True, choices=list(SCORES), help="name of the score")
    arguments.add_argument("--samples", nargs="+", required=True, help="tables 'samples' of all shards")
    arguments.add_argument("--embeddings", nargs="+", required=True, help="their embeddings, in the same order")
    arguments.add_argument("--scores", required=True, metavar="FILE", help="table 'scores' to write")
    args = arguments.parse_args()
    found = [
        score_samples(args.score, tables.read(samples, "samples"), read_embeddings(embeddings))
        for samples, embeddings in zip(args.samples, args.embeddings, strict=True)
    ]
    scores = pd.concat(found, ignore_index=True)
    tables.write(args.scores, "scores", scores)
    if len(scores):
        values = scores["score"]
        print(
            f"{args.score} of {len(scores)} samples: {values.min():.3f} to {values.max():.3f}, mean {values.mean():.3f}"
        )


if __name__ == "__main__":
    main()
