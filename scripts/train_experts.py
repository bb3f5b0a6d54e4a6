"""Experts of one shard: for each subject train, draw the unseen prompts, score, discard.

    python scripts/train_experts.py --demonstrations IN/demonstrations.parquet --prompts IN/prompts.parquet \\
        --images IN/images.tar --cache results/experts/cache --samples s.tar --scores s.parquet --log-table l.parquet \\
        --settings '{"seed": 0, "compute": {}, "models.base": "...", "experts": {}, "filtering.encoder": "..."}'

Experts that the cache knows are not trained again, so a killed shard goes on where it was.
"""

from __future__ import annotations

import time
from pathlib import Path

from tqdm.auto import tqdm

from suti import tables
from suti.arguments import parser
from suti.compute import precision, prepare
from suti.digests import code_digest, model_digest
from suti.experts import ExpertTask, expert_address, read_cached, run_expert, write_cached
from suti.io.shard_index import ShardIndex
from suti.io.shards import encode_png, write_shard
from suti.models.base import load_base
from suti.models.encoders import load_text_image_encoder

ROOT = Path(__file__).resolve().parent.parent


def read_tasks(demonstrations: str, prompts: str, images: str) -> list[ExpertTask]:
    """One task a subject, sorted by subject."""
    shown = tables.read(demonstrations, "demonstrations").sort_values(["subject_id", "image_id"])
    asked = tables.read(prompts, "prompts").sort_values(["subject_id", "prompt_id"])
    shard = ShardIndex(images)
    asked_by = dict(iter(asked.groupby("subject_id")))
    tasks = []
    for subject_id, rows in shown.groupby("subject_id"):
        wanted = asked_by.get(subject_id, asked.head(0))
        tasks.append(
            ExpertTask(
                str(subject_id),
                tuple(shard[key] for key in rows["image_id"]),
                tuple(rows["text"]),
                tuple(zip(wanted["prompt_id"], wanted["prompt"], strict=True)),
            )
        )
    return tasks


def main() -> None:
    arguments = parser(__doc__)
    for name in ("demonstrations", "prompts", "images"):
        arguments.add_argument(f"--{name}", required=True, metavar="FILE", help=f"the shard's {name}")
    arguments.add_argument("--cache", required=True, type=Path, metavar="FOLDER", help="what finished experts left")
    for name in ("samples", "scores", "log-table"):
        arguments.add_argument(f"--{name}", required=True, metavar="FILE", help=f"{name} to write")
    args = arguments.parse_args()
    s = args.settings
    device = prepare(s.compute)
    context = {
        "seed": s.seed,
        "base": model_digest(s["models.base"]),
        "clip": model_digest(s["filtering.encoder"]),
        "precision": precision(s.compute, device),
        "code": code_digest(__file__, ROOT),
    }
    tasks = read_tasks(args.demonstrations, args.prompts, args.images)
    models = None
    results, trained, start = [], 0, time.perf_counter()
    progress = tqdm(tasks, desc="experts", unit="expert", mininterval=5)
    for task in progress:
        address = expert_address(task, s.experts, context)
        result = read_cached(args.cache, address)
        if result is None:
            if models is None:  # a shard that the cache knows needs no models
                models = (
                    load_base(s["models.base"]).to(device),
                    load_text_image_encoder(s["filtering.encoder"], s.compute),
                )
            result = run_expert(task, address, *models, s.experts, s.compute, s.seed)
            write_cached(args.cache, address, result)
            trained += 1
            progress.set_postfix_str(f"{3600 * trained / (time.perf_counter() - start):.0f} experts/h")
        results.append(result)
    write_shard(args.samples, ((f"{sid}.png", encode_png(image)) for r in results for sid, image in r.samples))
    tables.write(args.scores, "scores", [row for r in results for row in r.scores])
    tables.write(args.log_table, "expert_log", [r.log for r in results])
    dropped = [r.log["subject_id"] for r in results if r.log["status"] != "ok"]
    print(f"{len(tasks)} experts: {trained} trained, the rest from the cache, {len(dropped)} dropped {dropped}")


if __name__ == "__main__":
    main()
