"""Put trained model folders in the place of the shipped ones, whole or not at all.

    python scripts/ship_models.py --models results/models/clip results/models/probe --out resources/models
    python scripts/ship_models.py --apprentice results-mini/apprentice/q0.4 --out resources/models

The apprentice is stored in half precision, below OUT/apprentice.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from suti.cli.arguments import parser
from suti.io.atomic import atomic_path, read_json, write_json

LIMIT = 50 * 2**20  # bytes that may be shipped in all


def size(folder: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Check the sizes, then replace folder by folder."""
    arguments = parser(__doc__)
    arguments.add_argument("--models", type=Path, nargs="*", default=[], help="trained model folders")
    arguments.add_argument("--apprentice", type=Path, help="a trained apprentice's folder")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the shipped models")
    args = arguments.parse_args()
    for folder in (*args.models, *([args.apprentice] if args.apprentice else [])):
        if not (folder / "provenance.json").is_file():
            raise SystemExit(f"{folder}: no provenance.json, so training did not end; run its rule again")
    total = sum(size(folder) for folder in args.models)
    if total > LIMIT:
        raise SystemExit(f"models: {total / 2**20:.1f} MB, but at most {LIMIT / 2**20:.0f} MB are shipped")
    for folder in args.models:
        with atomic_path(args.out / folder.name) as part:
            shutil.copytree(folder, part, ignore=shutil.ignore_patterns(".*"))
        print(f"{args.out / folder.name}: {size(folder) / 2**20:.2f} MB")
    if args.apprentice:
        ship_apprentice(args.apprentice, args.out / "apprentice")
    print(f"{size(args.out) / 2**20:.1f} MB in all")


def ship_apprentice(folder: Path, out: Path) -> None:
    """Store a ``SuTIPipeline`` folder in half precision, with its provenance and model card."""
    import torch

    from suti.models.pipeline import SuTIPipeline

    record = read_json(folder / "provenance.json")
    pipeline = SuTIPipeline.from_pretrained(str(folder), dtype=torch.float16)
    with atomic_path(out) as part:
        pipeline.save_pretrained(part, safe_serialization=True, provenance=record)
        write_json(part / "provenance.json", record)
        for config in (part / "model_index.json", *part.glob("*/config.json")):
            # where it was loaded from is a place on this machine
            write_json(config, {k: v for k, v in read_json(config).items() if k != "_name_or_path"})
    print(f"{out}: {size(out) / 2**20:.2f} MB")


if __name__ == "__main__":
    main()
