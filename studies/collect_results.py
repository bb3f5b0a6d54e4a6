"""Copy the tables, curves, metrics and times of a finished run into a folder to commit, with where they come from.

    python studies/collect_results.py --results results --out docs/results/tiny [--seconds WALL]

Writes the CSVs of tables and curves, the JSONs of metrics and timing, mining and language reports, the figures, and
provenance.json (hash of the configuration, code version, seed, software, hardware, wall time; where and by which code
the apprentices were trained), and summary.md: the table that README.md shows. Of a run of some chapters, what it made.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from suti.baselines.systems import SYSTEMS
from suti.config.load import load_config
from suti.io.atomic import atomic_path, read_json, write_json, write_text
from suti.io.provenance import provenance
from suti.runs import Run

PATTERNS = (
    "tables/*.csv", "tables/*.png", "figures/*.png", "figures/*_curve.csv", "figures/delta_histogram.csv",
    "claims.json", "claims.md",
    "metrics/*.json", "generations/*.timing.json", "filtered/*.json", "mining/report.json", "language/report.json",
)  # fmt: skip


COLUMNS = ("subject", "text", "realism", "overall", "dino", "clip_i", "clip_t")


def summary(metrics: dict[str, dict[str, Any]], seconds: dict[str, float], rows: dict[str, str]) -> str:
    """Markdown table: mean and 95 % interval of each metric, and seconds a subject, one row a system.

    Args:
        metrics: run -> content of its metrics JSON.
        seconds: run -> seconds a subject.
        rows: run -> the system's name, in the table's order.
    """
    lines = ["| system | subject | text | realism | overall | DINO | CLIP-I | CLIP-T | s a subject |", "|---" * 9 + "|"]
    for run, name in rows.items():
        cells = []
        for column in COLUMNS:
            value = metrics[run]["metrics"].get(column)
            filled = value and value.get("mean") is not None
            cells.append(f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}]" if filled else "")
        cells.append(f"{seconds[run]:.2f}" if run in seconds else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


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
        evaluation, lam = config.evaluation, config.filtering.default
        main_run = Run.suti(lam, evaluation.demonstrations)
        rows = {
            "real": "real pictures",
            "base": "base, text alone",
            **{name: entry.title for name, entry in SYSTEMS.items() if name != "dream-suti"},
            str(main_run): f"SuTI, {evaluation.demonstrations} demonstrations",
            str(main_run.at(demonstrations=0)): "SuTI, demonstrations withheld",
            "dream-suti": SYSTEMS["dream-suti"].title,
        }
        metrics = {
            run: read_json(folder / f"metrics/{run}.json") for run in rows if (folder / f"metrics/{run}.json").exists()
        }
        timing = {
            path.name.removesuffix(".timing.json"): read_json(path)["seconds_per_subject"]
            for path in folder.glob("generations/*.timing.json")
        }
        if metrics:  # a run of the first chapters has none
            write_text(
                folder / "summary.md", summary(metrics, timing, {run: rows[run] for run in rows if run in metrics})
            )
        trained = {
            path.parent.name: {key: read_json(path)[key] for key in ("code_version", "hardware", "seconds")}
            for path in sorted(args.results.glob("apprentice/*/provenance.json"))
        }
        record = provenance(
            config.model_dump(mode="json"), args.seconds, seed=config.seed, files=len(found), apprentices=trained
        )
        write_json(folder / "provenance.json", record)
    print(f"{len(found)} files in {args.out}")


if __name__ == "__main__":
    main()
