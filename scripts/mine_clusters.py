"""Clusters of one part: pages whose mean pairwise image similarity lies in the band (section 4).

    python scripts/mine_clusters.py --settings '{"mining": {"similarity": [0.82, 0.98]}, "compute": {}}' \\
        --pages results/pages/pages-0.parquet --images results/pages/images-0.tar \\
        --clusters results/mining/clusters-0.parquet --members results/mining/members-0.parquet
"""

from __future__ import annotations

import torch

from suti.cli.arguments import parser
from suti.io import tables
from suti.io.shard_index import ShardIndex
from suti.mining.clusters import mine
from suti.models.encoders import load_image_encoder


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--pages", required=True, help="table 'pages' of the part")
    arguments.add_argument("--images", required=True, help="shard of the part's pictures")
    arguments.add_argument("--clusters", required=True, help="table 'clusters' to write")
    arguments.add_argument("--members", required=True, help="table 'members' to write")
    args = arguments.parse_args()

    settings = args.settings["mining"]
    pages = tables.read(args.pages, "pages")
    torch.set_num_threads(args.settings["compute"].threads)
    encoder = load_image_encoder(settings.encoder, args.settings["compute"])
    clusters, members = mine(pages, ShardIndex(args.images).picture, encoder, settings)
    tables.write(args.members, "members", members)
    tables.write(args.clusters, "clusters", clusters)
    kept = sum(row["status"] == "kept" for row in clusters)
    print(f"{len(clusters)} pages, {kept} clusters kept with {len(members)} pictures")


if __name__ == "__main__":
    main()
