r"""Judge text-to-image bases by their own pictures of held-out prompts: figures as JSON, a sheet as PNG.

    python studies/judge_bases.py --bases 32=resources/models/base latent=FOLDER --probe resources/models/probe \
        --encoder transformers:DINOV2_FOLDER --out docs/results/contest.json --sheet docs/results/contest.png

All bases draw the same prompts. Pictures are judged at the size of the smallest, larger ones being averaged to it, and
at their own size if the probe reads it. True renders are the ceiling, their halves against each other the floor of the
kernel distance. What the folders' provenance.json says of their training goes into the JSON.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from suti.compute import prepare
from suti.config.schema import Compute
from suti.io.atomic import atomic_path, read_json, write_json
from suti.io.provenance import provenance
from suti.models.encoders import load_image_encoder
from suti.small_models.judging import (
    base_samples,
    held_out,
    kernel_distance,
    probe_figures,
    relative_residue,
    shrink,
)
from suti.small_models.probe_network import load_probe
from suti.small_models.report import tile

SHOWN = 12


def main() -> None:
    """Draw, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--probe", type=Path, required=True)
    parser.add_argument("--encoder", help="of the kernel distance, e.g. transformers:FOLDER; default: none")
    parser.add_argument("--count", type=int, default=192, help="held-out prompts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--guidance-stop", type=float, default=1.0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    begun = time.perf_counter()
    prepare(Compute())
    probe = load_probe(args.probe)
    encoder = load_image_encoder(args.encoder) if args.encoder else None
    prompts, truth = held_out(args.seed, args.count)
    folders = dict(pair.split("=", 1) for pair in args.bases)
    sampling = {
        "num_inference_steps": args.steps,
        "guidance_scale": args.guidance,
        "guidance_stop": args.guidance_stop,
    }
    drawn, seconds = {}, {}
    for name, folder in folders.items():
        start = time.process_time()
        drawn[name] = base_samples(folder, prompts, args.seed, **sampling)
        seconds[name] = (time.process_time() - start) / len(prompts)
    pictures = {"true renders": truth, **drawn}
    size = min(images.shape[1] for images in pictures.values())
    true_features = None if encoder is None else encoder.embed(list(shrink(truth, size)))
    rows: dict[str, Any] = {}
    for name, images in pictures.items():
        small, own = shrink(images, size), images.shape[1]
        row: dict[str, Any] = {"image_size": own, f"at_{size}": probe_figures(small, prompts, probe)}
        if own != size and probe.config.image_size == own:
            row[f"at_{own}"] = probe_figures(images, prompts, probe)
        row["two_pixel_residue"] = round(relative_residue(images, shrink(truth, own)), 4)
        if encoder is not None and true_features is not None:
            if name == "true renders":
                half = len(true_features) // 2
                distance = kernel_distance(true_features[:half], true_features[half:])
            else:
                distance = kernel_distance(encoder.embed(list(small)), true_features)
            row["kernel_distance"] = round(distance, 3)
        if name in seconds:
            row["cpu_seconds_a_picture"] = round(seconds[name], 3)
            record = Path(folders[name]) / "provenance.json"
            row["training"] = read_json(record) if record.is_file() else None
        rows[name] = row
    settings = {"count": args.count, "seed": args.seed, **sampling, "judged_at": size, "encoder": args.encoder}
    record = provenance(settings, time.perf_counter() - begun, bases=rows)
    write_json(args.out, record)
    if args.sheet:
        grid = [list(np.asarray(images)[:SHOWN]) for images in pictures.values()]
        with atomic_path(args.sheet) as part:
            tile(grid, 96).save(part, format="PNG", optimize=True)
    for name, row in rows.items():
        figures = row[f"at_{size}"]
        print(f"{name:24s} realism {figures['realism_score']:.3f} ({figures['realism_yes']:.2f})"
              f" text {figures['text_score']:.3f} residue {row['two_pixel_residue']:.2f}"
              f" distance {row.get('kernel_distance', float('nan')):.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
