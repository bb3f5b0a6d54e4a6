"""The world's web pages as WebDataset tars, one a part, with the truth of every page.

    python scripts/render_pages.py --settings '{"seed": 0, "world": {}, "pages.parts": 2}' \\
        --pages results/world/pages-0.tar results/world/pages-1.tar --truth results/world/truth.parquet
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict

from tqdm import tqdm

from suti.cli.arguments import parser
from suti.io import tables
from suti.io.shards import write_shard
from suti.mining.ingest import part_of
from suti.world.pages import PageTruth, world_pages


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--pages", nargs="+", required=True, help="tars to write, one a part")
    arguments.add_argument("--truth", required=True, help="table 'truth' to write")
    args = arguments.parse_args()
    world, parts = args.settings["world"], args.settings["pages.parts"]
    if len(args.pages) != parts:
        arguments.error(f"--pages: {len(args.pages)} tars, expected {parts} (pages.parts)")

    truths: list[PageTruth] = []
    members: dict[int, list[tuple[str, bytes]]] = {part: [] for part in range(parts)}
    counts: dict[str, int] = defaultdict(int)
    numbers: dict[str, int] = {}
    others = {name: count for name, count in world.model_dump().items() if name != "subjects"}
    pictures = world_pages(args.settings.seed, world.subjects, truths=truths, **others)
    for picture in tqdm(pictures, desc="pictures", unit="picture", mininterval=5):
        url = picture.page_url
        key = f"{numbers.setdefault(url, len(numbers)):06d}_{counts[url]:03d}"
        counts[url] += 1
        facts = {"page_url": url, "image_url": picture.image_url, "alt_text": picture.alt_text}
        text = json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()
        members[part_of(url, parts)] += [(f"{key}.jpg", picture.data), (f"{key}.json", text)]
    for part, path in enumerate(args.pages):
        write_shard(path, members[part])
    tables.write(args.truth, "truth", [asdict(truth) for truth in truths])
    print(f"{len(truths)} pages, {sum(counts.values())} pictures in {parts} parts")


if __name__ == "__main__":
    main()
