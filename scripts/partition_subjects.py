"""The experts' inputs by shard: demonstrations, prompts and pictures of the shard's subjects, and nothing
else.

    python scripts/partition_subjects.py --shards 4 --members results/mining/members-*.parquet \\
        --texts results/subjects/texts-*.parquet --prompts results/prompts/prompts-*.parquet \\
        --images results/pages/images-*.tar --out-dir results/experts/inputs
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from suti.cli.arguments import parser
from suti.experts.partition import partition
from suti.io import tables
from suti.io.atomic import read_json
from suti.io.shard_index import ShardIndex
from suti.io.shards import write_shard
from suti.mining.report import no_cluster_message


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--shards", type=int, required=True, metavar="N", help="shards that subjects are dealt to")
    arguments.add_argument("--members", nargs="+", required=True, help="tables 'members', one a part")
    arguments.add_argument("--texts", nargs="+", required=True, help="tables 'texts', one a part")
    arguments.add_argument("--prompts", nargs="+", required=True, help="tables 'prompts', one a part")
    arguments.add_argument("--images", nargs="+", required=True, help="shards of the parts, in the order of --members")
    arguments.add_argument(
        "--out-dir", type=Path, required=True, help="folder to write: SHARD/demonstrations.parquet ..."
    )
    arguments.add_argument("--report", help="mining/report.json: tells a part without clusters from a corpus without")
    args = arguments.parse_args()
    if len(args.images) != len(args.members):
        arguments.error(
            f"--images: {len(args.images)} shards for {len(args.members)} tables of --members; give one each"
        )

    parts = [tables.read(path, "members") for path in args.members]
    members = pd.concat(parts, ignore_index=True)
    if len(members) == 0 and not (args.report and read_json(args.report)["outcomes"].get("kept")):
        # The tables of clusters lie beside those of members, by the contract of mining; they say why.
        beside = [Path(p).with_name(Path(p).name.replace("members", "clusters")) for p in args.members]
        clusters = tables.read_all([p for p in beside if p.exists()], "clusters")
        raise ValueError(no_cluster_message(clusters, None, None))
    part_of = {key: part for part, table in enumerate(parts) for key in table["image_id"]}
    texts, prompts = tables.read_all(args.texts, "texts"), tables.read_all(args.prompts, "prompts")
    shards = [ShardIndex(path, only=set(part_of)) for path in args.images]

    def pictures(keys: pd.Series) -> Iterator[tuple[str, bytes]]:
        for key in keys:
            yield f"{key}.png", shards[part_of[key]][key]

    for inputs in tqdm(
        partition(members, texts, prompts, args.shards), total=args.shards, desc="shards", mininterval=5
    ):
        folder = args.out_dir / str(inputs.shard)
        write_shard(folder / "images.tar", pictures(inputs.demonstrations["image_id"]))
        tables.write(folder / "demonstrations.parquet", "demonstrations", inputs.demonstrations)
        tables.write(folder / "prompts.parquet", "prompts", inputs.prompts)
    print(f"{members['cluster_id'].nunique()} subjects with {len(members)} demonstrations in {args.shards} shards")


if __name__ == "__main__":
    main()
