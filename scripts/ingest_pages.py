"""One part of the pages: clean pictures in a shard, and a row for every picture that says what became of it.

python scripts/ingest_pages.py --settings '{"pages": {"format": "folders", "path": ["photos"], "parts":
    2}}' \\ --part 0 --pages results/pages/pages-0.parquet --images results/pages/images-0.tar
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from suti.cli.arguments import parser
from suti.io import tables
from suti.io.pages import read_pages
from suti.io.shards import write_shard
from suti.mining.ingest import ingest


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--part", type=int, required=True, help="number of the part, from 0")
    arguments.add_argument("--source", nargs="*", help="files or folders to read; left out: pages.path")
    arguments.add_argument("--pages", required=True, help="table 'pages' to write")
    arguments.add_argument("--images", required=True, help="shard to write: PNG, key image_id")
    args = arguments.parse_args()

    settings = args.settings["pages"]
    named = args.source or settings.path
    paths = [path.format(part=args.part) if "{part" in path else path for path in named]
    dealt = any("{part" in path for path in named)
    rows: list[dict[str, Any]] = []

    def kept() -> Iterator[tuple[str, bytes]]:
        raw = read_pages(paths, settings.format, max_pixels=settings.max_pixels)
        for row, png in tqdm(ingest(raw, settings, args.part, dealt=dealt), desc="pictures", mininterval=5):
            rows.append(row)
            if png is not None:
                yield f"{row['image_id']}.png", png

    count = write_shard(args.images, kept())
    tables.write(args.pages, "pages", rows)
    pages = len({row["page_url"] for row in rows})
    print(f"part {args.part}: {len(rows)} pictures of {pages} pages, {count} kept")


if __name__ == "__main__":
    main()
