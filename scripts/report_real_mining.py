"""Run the mining chapter of a configuration script by script and write its figures with their provenance.

    python scripts/report_real_mining.py --config configs/webpages.yaml \\
        --json docs/results/mining_real.json --figure docs/images/mining_real.png

What a part has made already is not made again, so the times are of the parts that were made in this run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from suti.config.load import load_config, lookup
from suti.io.atomic import atomic_path, read_json, write_json


def run(script: str, settings: dict[str, object], **options: str | list[str]) -> float:
    """Run a script of this folder in a process of its own; seconds it took."""
    command = [sys.executable, f"scripts/{script}.py", "--settings", json.dumps(settings)]
    for name, value in options.items():
        command += [f"--{name}", *([value] if isinstance(value, str) else value)]
    start = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": "."})
    return time.perf_counter() - start


def processor() -> str:
    """The processor's name and the number of cores, as /proc tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--config", default="configs/webpages.yaml", help="configuration with the pages to mine")
    arguments.add_argument("--json", default="docs/results/mining_real.json", help="JSON to write")
    arguments.add_argument("--figure", default="docs/images/mining_real.png", help="histogram to write")
    args = arguments.parse_args()

    config = load_config([args.config])
    parts = [str(part) for part in range(config.pages.parts)]
    kinds = (("pages", "pages", "parquet"), ("images", "pages", "tar"), ("clusters", "mining", "parquet"),
             ("members", "mining", "parquet"))  # fmt: skip
    files = {name: [f"{config.results}/{folder}/{name}-{part}.{end}" for part in parts] for name, folder, end in kinds}
    read = {"pages": lookup(config, "pages")}
    mining = {"mining": lookup(config, "mining"), "compute": lookup(config, "compute")}
    seconds = {"ingest": 0.0, "mine": 0.0}
    for i, part in enumerate(parts):
        pages, images = files["pages"][i], files["images"][i]
        clusters, members = files["clusters"][i], files["members"][i]
        if not Path(pages).exists():
            seconds["ingest"] += run("ingest_pages", read, part=part, pages=pages, images=images)
        if not Path(clusters).exists():
            seconds["mine"] += run(
                "mine_clusters", mining, pages=pages, images=images, clusters=clusters, members=members
            )
    report, figure = f"{config.results}/mining/report.json", f"{config.results}/figures/similarity.png"
    band = {"mining.similarity": list(config.mining.similarity)}
    run("report_mining", band, clusters=files["clusters"], pages=files["pages"], report=report, figure=figure,
        table=figure.replace(".png", ".csv"))  # fmt: skip
    with atomic_path(args.figure) as copy:
        shutil.copyfile(figure, copy)
    provenance = {
        "command": f"python scripts/report_real_mining.py --config {args.config}",
        "pages": config.pages.path,
        "encoder": config.mining.encoder,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "hardware": processor(),
        "versions": {name: version(name) for name in ("torch", "transformers", "pillow", "numpy")},
        "python": platform.python_version(),
    }
    write_json(args.json, {"provenance": provenance, "report": read_json(report)})


if __name__ == "__main__":
    main()
