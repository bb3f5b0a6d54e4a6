"""Addresses of the pictures of an OBELICS-layout parquet, one a row, as img2dataset reads them.

    python scripts/list_urls.py --index data/obelics/index/00000.parquet \\
        --urls data/obelics/urls/00000.parquet

Columns: url, page_url, alt_text. Pages with fewer than three pictures are left out: mining would drop them.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from suti.cli.arguments import parser
from suti.io.atomic import atomic_path
from suti.io.pages import read_obelics

MIN_PICTURES = 3


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--index", required=True, help="parquet in the layout of OBELICS")
    arguments.add_argument("--urls", required=True, help="parquet to write")
    args = arguments.parse_args()

    pages: dict[str, list[dict[str, str | None]]] = {}
    for picture in read_obelics(Path(args.index), max_pixels=1):
        if picture.image_url:
            row = {"url": picture.image_url, "page_url": picture.page_url, "alt_text": picture.alt_text}
            pages.setdefault(picture.page_url, []).append(row)
    rows = [row for page in pages.values() if len(page) >= MIN_PICTURES for row in page]
    schema = pa.schema([(name, pa.string()) for name in ("url", "page_url", "alt_text")])
    with atomic_path(args.urls) as part:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), part, compression="zstd")
    print(f"{args.index}: {len(rows)} pictures of {len(pages)} pages listed")


if __name__ == "__main__":
    main()
