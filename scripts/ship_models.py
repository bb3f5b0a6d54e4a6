"""Put trained model folders in the place of the shipped ones, whole or not at all.

python scripts/ship_models.py --models results/models/clip results/models/probe --out resources/models
"""

from __future__ import annotations

import shutil
from pathlib import Path

from suti.arguments import parser
from suti.io.atomic import atomic_path

LIMIT = 40 * 2**20  # bytes that may be shipped in all


def size(folder: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Check the sizes, then replace folder by folder."""
    arguments = parser(__doc__)
    arguments.add_argument("--models", type=Path, nargs="+", required=True, help="trained model folders")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the shipped models")
    args = arguments.parse_args()
    for folder in args.models:
        if not (folder / "provenance.json").is_file():
            raise SystemExit(f"{folder}: no provenance.json, so training did not end; run its rule again")
    total = sum(size(folder) for folder in args.models)
    if total > LIMIT:
        raise SystemExit(f"models: {total / 2**20:.1f} MB, but at most {LIMIT / 2**20:.0f} MB are shipped")
    for folder in args.models:
        with atomic_path(args.out / folder.name) as part:
            shutil.copytree(folder, part, ignore=shutil.ignore_patterns(".*"))
        print(f"{args.out / folder.name}: {size(folder) / 2**20:.2f} MB")
    print(f"{total / 2**20:.1f} MB in all")


if __name__ == "__main__":
    main()
