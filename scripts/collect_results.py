"""Copy the tables, curves, metrics and times of a finished run into a folder to commit, with where they come from.

    python scripts/collect_results.py --results results --out docs/results/tiny [--seconds WALL]

Writes the CSVs of tables and curves, the JSONs of metrics and timing, mining and language reports, the figures, and
provenance.json (hash of the configuration, code version, seed, software, hardware, wall time).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from suti.config.load import load_config
from suti.io.atomic import atomic_path, write_json
from suti.io.provenance import provenance

PATTERNS = (
    "tables/*.csv", "tables/*.png", "figures/*.png", "figures/*_curve.csv", "figures/delta_histogram.csv",
    "metrics/*.json", "generations/*.timing.json", "filtered/*.json", "mining/report.json", "language/report.json",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of a finished run")
    parser.add_argument("--configfile", nargs="+", default=["config.yaml"], help="the run's configuration and overlays")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seconds", type=float, default=0.0, help="wall time of the run, after installation")
    args = parser.parse_args()
    found = sorted(path for pattern in PATTERNS for path in args.results.glob(pattern))
    if not found:
        raise SystemExit(f"--results: {args.results} holds no tables, figures or metrics; run the workflow first")
    config = load_config(args.configfile)
    with atomic_path(args.out) as folder:
        for path in found:
            target = folder / path.relative_to(args.results)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        write_json(
            folder / "provenance.json",
            provenance(config.model_dump(mode="json"), args.seconds, seed=config.seed, files=len(found)),
        )
    print(f"{len(found)} files in {args.out}")


if __name__ == "__main__":
    main()
