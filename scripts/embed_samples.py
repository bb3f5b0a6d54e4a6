"""Embed a shard's samples, their prompts and the demonstrations by the CLIP that scores them.

    python scripts/embed_samples.py --samples samples-0.parquet --pictures samples-0.tar \\
        --demonstrations IN/demonstrations.parquet --images IN/images.tar --embeddings embeddings-0.safetensors \\
        --settings '{"compute": {}, "filtering.encoder": "open_clip:local-dir:resources/models/clip"}'
"""

from __future__ import annotations

import torch
from tqdm.auto import tqdm

from suti.cli.arguments import parser
from suti.experts.embedding import embed_subject, write_embeddings
from suti.io import tables
from suti.io.shard_index import ShardIndex
from suti.models.encoders import load_text_image_encoder


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--samples", required=True, metavar="FILE", help="table 'samples'")
    arguments.add_argument("--pictures", required=True, metavar="FILE", help="shard of their pictures")
    arguments.add_argument("--demonstrations", required=True, metavar="FILE", help="the shard's demonstrations")
    arguments.add_argument("--images", required=True, metavar="FILE", help="shard of their pictures")
    arguments.add_argument("--embeddings", required=True, metavar="FILE", help="safetensors file to write")
    args = arguments.parse_args()
    s = args.settings
    torch.set_num_threads(s.compute.threads)
    samples = tables.read(args.samples, "samples")
    shown = tables.read(args.demonstrations, "demonstrations").sort_values(["subject_id", "image_id"])
    pictures, images = ShardIndex(args.pictures), ShardIndex(args.images)
    known = {str(subject_id): rows["image_id"].tolist() for subject_id, rows in shown.groupby("subject_id")}
    found = {}
    if len(samples):  # a shard without samples needs no model
        clip = load_text_image_encoder(s["filtering.encoder"], s.compute)
        for subject_id, rows in tqdm(samples.groupby("subject_id", sort=False), desc="subjects", mininterval=5):
            found[str(subject_id)] = embed_subject(
                clip,
                [pictures.picture(key) for key in rows["sample_id"]],
                rows["prompt"].tolist(),
                [images.picture(key) for key in known[str(subject_id)]],
            )
    write_embeddings(args.embeddings, found)
    print(f"{len(samples)} samples of {len(found)} subjects embedded by {s['filtering.encoder']}")


if __name__ == "__main__":
    main()
