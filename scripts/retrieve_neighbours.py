"""The nearest pictures of other pages to each picture of the clusters, by mining's CLIP: what Re-Imagen is trained on.

    python scripts/retrieve_neighbours.py --demonstrations D.parquet ... --images I.tar ... \\
        --neighbours results/baselines/neighbours.parquet \\
        --settings '{"compute": {}, "mining.encoder": "open_clip:local-dir:resources/models/clip",
                     "mining.batch_size": 256, "apprentice.demonstrations": 3}'

A cluster is the pictures of one page. They are embedded page by page, so shards and their order change no digit.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from tqdm.auto import tqdm

from suti.baselines.neighbours import nearest_of_other_pages
from suti.cli.arguments import parser
from suti.io import tables
from suti.io.picture_store import PictureStore
from suti.models.encoders import load_image_encoder


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--demonstrations", required=True, nargs="+", metavar="FILE", help="demonstrations, all shards"
    )
    arguments.add_argument("--images", required=True, nargs="+", metavar="FILE", help="shards of their pictures")
    arguments.add_argument("--neighbours", required=True, metavar="FILE", help="table 'neighbours' to write")
    args = arguments.parse_args()
    s = args.settings
    torch.set_num_threads(s.compute.threads)
    shown = tables.read_all(args.demonstrations, "demonstrations").sort_values(["subject_id", "image_id"])
    store = PictureStore(args.images, keep_bytes=0)
    encoder = load_image_encoder(s["mining.encoder"], s.compute)
    embeddings, looks = [], []
    pages = shown.groupby("subject_id")["image_id"]
    for _, keys in tqdm(pages, total=pages.ngroups, desc="pages", unit="page", mininterval=5):
        pictures = [store(key) for key in keys]
        embeddings.append(encoder.embed(pictures, batch_size=s["mining.batch_size"]))
        looks += [hashlib.blake2b(p.tobytes(), digest_size=16).hexdigest() for p in pictures]
    if pages.ngroups < 2:
        raise ValueError(
            f"--demonstrations: pictures of {pages.ngroups} pages, but re-imagen learns from neighbours of other "
            "pages; give more pages, or take re-imagen out of baselines.systems"
        )
    ids = shown["image_id"].to_numpy()
    near = nearest_of_other_pages(
        np.concatenate(embeddings), shown["subject_id"].to_numpy(), np.array(looks), s["apprentice.demonstrations"]
    )
    rows = [
        {"image_id": ids[number], "neighbour_id": ids[place], "rank": rank, "cosine": cosine}
        for number, (places, cosines) in enumerate(near)
        for rank, (place, cosine) in enumerate(zip(places, cosines, strict=True))
    ]
    tables.write(args.neighbours, "neighbours", rows)
    print(f"{len(rows)} neighbours of {len(ids)} pictures by {encoder.name}")


if __name__ == "__main__":
    main()
