"""Caption every picture of every kept cluster (section 4 of the paper).

python scripts/caption_images.py --settings JSON --members MEMBERS.parquet --images IMAGES.tar
    --captions CAPTIONS.parquet
"""

from __future__ import annotations

from suti.cli.arguments import parser
from suti.io import tables
from suti.io.shards import decode_rgb, iterate_shard
from suti.language.captioning import caption_clusters
from suti.models.captioner import load_captioner


def main() -> None:
    """Read members and pictures; write captions."""
    arguments = parser(__doc__)
    arguments.add_argument("--members", required=True, help="table members of one part")
    arguments.add_argument("--images", required=True, help="image shard of the same part")
    arguments.add_argument("--captions", required=True, help="output: table captions")
    a = arguments.parse_args()
    s = a.settings
    members = tables.read(a.members, "members")
    wanted = set(members["image_id"])  # the shard also holds the pictures of rejected pages
    named = ((name.rsplit(".", 1)[0], data) for name, data in iterate_shard(a.images))
    captions = caption_clusters(
        members,
        {key: decode_rgb(data) for key, data in named if key in wanted},
        load_captioner(s["models.captioner"], s.compute),
        s.captions.batch_size,
        s.captions.max_new_tokens,
    )
    tables.write(a.captions, "captions", captions)
    print(f"{len(captions)} captions of {captions['cluster_id'].nunique()} clusters")


if __name__ == "__main__":
    main()
