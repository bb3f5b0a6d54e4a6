"""Draw the benchmark with one of the systems that SuTI is compared with (suti/baselines/systems.py lists them).

    python scripts/personalize.py --method dreambooth --cache results/baselines/cache ...
    python scripts/personalize.py --method dream-suti --model results/apprentice/q0.4 --cache ...

A subject that is done is kept in the cache under its content address, so a killed run goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from suti.compute import precision, prepare
from suti.digests import code_digest, model_digest
from suti.drawing import drawing_parser, read_benchmark, sampling_settings, write_generations
from suti.generation import BenchmarkSubject, Drawn
from suti.io.shards import decode_rgb, encode_png, iterate_shard, write_shard
from suti.models.base import load_base

ROOT = Path(__file__).resolve().parent.parent
# The list and a system's module are imported by name: a new entry, or a change of one module, is no change of the code
# behind the other systems' pictures (suti/digests.py follows statements).
SYSTEMS = import_module("suti.baselines.systems").SYSTEMS


def address(subject: BenchmarkSubject, context: dict[str, Any]) -> str:
    """Content address of a subject's pictures under this method."""
    digest = hashlib.blake2b(digest_size=16)
    texts = [subject.subject_id, subject.class_name, subject.prompts, [t for _, t in subject.demonstrations]]
    digest.update(json.dumps([texts, context], sort_keys=True).encode())
    for picture, _ in subject.demonstrations:
        digest.update(np.ascontiguousarray(picture).tobytes())
    return digest.hexdigest()


def read_cached(path: Path) -> Drawn | None:
    """A finished subject, or None if there is none or its file is damaged (which is then removed)."""
    if not path.exists():
        return None
    try:
        members = dict(iterate_shard(path))
        record = json.loads(members.pop("result.json"))
        images = np.stack([decode_rgb(members[f"{row['sample_id']}.png"]) for row in record["rows"]])
    except (ValueError, KeyError, OSError):
        path.unlink(missing_ok=True)
        return None
    return Drawn(images=images, **record)


def write_cached(path: Path, drawn: Drawn) -> None:
    """Keep a finished subject."""
    record = {k: v for k, v in vars(drawn).items() if k != "images"}
    pictures = [(f"{r['sample_id']}.png", encode_png(i)) for r, i in zip(drawn.rows, drawn.images, strict=True)]
    write_shard(path, [("result.json", json.dumps(record, sort_keys=True).encode()), *pictures])


def main() -> None:
    arguments = drawing_parser(__doc__)
    arguments.add_argument("--method", required=True, choices=list(SYSTEMS))
    arguments.add_argument(
        "--model", metavar="FOLDER", help="what a system that does not start from the base starts from"
    )
    arguments.add_argument("--cache", required=True, type=Path, metavar="FOLDER", help="finished subjects")
    args = arguments.parse_args()
    system = SYSTEMS[args.method]
    if system.starts_from != "base" and not args.model:
        arguments.error(
            f"--model: {system.name} starts from a model of its own ({system.starts_from}); name its folder"
        )
    s = args.settings
    device = prepare(s.compute)
    module = system.load()
    settings = getattr(module, f"{system.method}_settings")(s)
    draw = getattr(module, f"draw_{system.method}")
    sampling = sampling_settings(s)
    start_from = args.model or s["models.base"]
    context = {
        "method": args.method, "seed": s.seed, "model": model_digest(start_from), "settings": asdict(settings),
        "sampling": asdict(sampling), "precision": precision(s.compute, device),
        "code": [code_digest(__file__, ROOT), code_digest(system.source, ROOT)],
    }  # fmt: skip
    subjects = read_benchmark(args.subjects, args.prompts, args.demonstrations, args.images, args.prompts_per_subject)
    if system.starts_from == "base":
        base = load_base(s["models.base"])
    else:
        base = getattr(module, f"load_{system.method}")(args.model)
    base.to(device)
    drawn = []
    for subject in tqdm(subjects, desc=args.method, unit="subject", mininterval=5):
        name = address(subject, context)
        path = args.cache / name[:2] / f"{name}.tar"
        result = read_cached(path)
        if result is None:
            result = draw(base, subject, settings, sampling, s.compute, s.seed)
            write_cached(path, result)
        drawn.append(result)
    conditions = {"optimisation_steps": settings.steps, "threads": s.compute.threads, "device": device.type}
    write_generations(args.method, drawn, args.generations, args.images_out, args.timing, **conditions)


if __name__ == "__main__":
    main()
