"""Draw the benchmark with per-subject fine-tuning: DreamBooth (from the base) or Dream-SuTI (from the apprentice).

    python scripts/personalize.py --method dreambooth --cache results/baselines/cache ...

A subject that is done is kept in the cache under its content address, so a killed run goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from suti.arguments import Settings
from suti.compute import precision, prepare
from suti.digests import code_digest, model_digest
from suti.drawing import drawing_parser, read_benchmark, sampling_settings, write_generations
from suti.fine_tuning import FineTuning
from suti.generation import BenchmarkSubject, Drawn, Sampling, draw_dream_suti, draw_dreambooth
from suti.io.shards import decode_rgb, encode_png, iterate_shard, write_shard
from suti.models.base import load_base
from suti.models.pipeline import SuTIPipeline

ROOT = Path(__file__).resolve().parent.parent


def method_settings(method: str, s: Settings) -> tuple[FineTuning, dict[str, Any]]:
    """Fine-tuning of the method, and its further settings."""
    frozen = tuple(s["experts.frozen"])
    if method == "dreambooth":
        tuning = FineTuning(
            "full", s["baselines.dreambooth_steps"], s["baselines.dreambooth_batch_size"],
            s["baselines.dreambooth_learning_rate"], frozen=frozen,
        )  # fmt: skip
        prior = s["baselines.prior_images"] if s["baselines.prior_preservation"] else 0
        return tuning, {"identifier": s["baselines.identifier"], "prior_images": prior}
    return FineTuning(
        "full", s["baselines.dream_suti_steps"], 4, s["baselines.dream_suti_learning_rate"], frozen=frozen
    ), {}


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
    arguments.add_argument("--method", required=True, choices=["dreambooth", "dream-suti"])
    arguments.add_argument("--model", metavar="FOLDER", help="the apprentice (dream-suti)")
    arguments.add_argument("--cache", required=True, type=Path, metavar="FOLDER", help="finished subjects")
    args = arguments.parse_args()
    if args.method == "dream-suti" and not args.model:
        arguments.error("--model: dream-suti starts from an apprentice; name its folder")
    s = args.settings
    device = prepare(s.compute)
    sampling: Sampling = sampling_settings(s)
    tuning, extra = method_settings(args.method, s)
    start_from = args.model or s["models.base"]
    context = {
        "method": args.method, "seed": s.seed, "model": model_digest(start_from), "tuning": asdict(tuning), **extra,
        "sampling": asdict(sampling), "precision": precision(s.compute, device), "code": code_digest(__file__, ROOT),
    }  # fmt: skip
    subjects = read_benchmark(args.subjects, args.prompts, args.demonstrations, args.images, args.prompts_per_subject)
    if args.method == "dreambooth":
        base = load_base(s["models.base"]).to(device)
    else:
        pipeline = SuTIPipeline.from_pretrained(args.model).to(device)
        pipeline.base.freeze()
    drawn = []
    for subject in tqdm(subjects, desc=args.method, unit="subject", mininterval=5):
        name = address(subject, context)
        path = args.cache / name[:2] / f"{name}.tar"
        result = read_cached(path)
        if result is None:
            if args.method == "dreambooth":
                result = draw_dreambooth(
                    base, subject, tuning, extra["identifier"], extra["prior_images"], sampling, s.compute, s.seed
                )
            else:
                result = draw_dream_suti(pipeline, subject, tuning, sampling, s.compute, s.seed)
            write_cached(path, result)
        drawn.append(result)
    conditions = {"optimisation_steps": tuning.steps, "threads": s.compute.threads, "device": device.type}
    write_generations(args.method, drawn, args.generations, args.images_out, args.timing, **conditions)


if __name__ == "__main__":
    main()
