"""Experts of one shard: train them, several at once, draw the unseen prompts, discard.

    python scripts/train_experts.py --demonstrations IN/demonstrations.parquet --prompts IN/prompts.parquet \\
        --images IN/images.tar --cache results/experts/cache --pictures s.tar --samples s.parquet \\
        --log-table l.parquet --settings '{"seed": 0, "compute": {}, "models.base": "...", "experts": {}}'

Experts that the cache knows are not trained again, so a killed shard goes on where it was. With ``experts.keep``
the weights go to ``--kept``, and an expert that is in the cache but not there is trained again.
"""

from __future__ import annotations

from pathlib import Path

from suti.cli.arguments import parser
from suti.compute import compiled, precision, prepare, uncompiled
from suti.digests import code_digest, model_digest
from suti.experts.batched.keeping import is_kept
from suti.experts.batched.memory import fit_machine
from suti.experts.progress import GroupBar
from suti.experts.run import (
    ExpertTask,
    expert_address,
    find_result,
    fine_tuning,
    keep_result,
    run_experts,
    training_set,
)
from suti.io import tables
from suti.io.finished import Finished
from suti.io.shard_index import ShardIndex
from suti.io.shards import encode_png, write_shard
from suti.models.base import load_base

ROOT = Path(__file__).resolve().parent.parent


def read_tasks(demonstrations: str, prompts: str, images: str) -> list[ExpertTask]:
    """One task a subject, sorted by subject."""
    demonstration_rows = tables.read(demonstrations, "demonstrations").sort_values(["subject_id", "image_id"])
    prompt_rows = tables.read(prompts, "prompts").sort_values(["subject_id", "prompt_id"])
    shard = ShardIndex(images)
    prompts_of = dict(iter(prompt_rows.groupby("subject_id")))
    tasks = []
    for subject_id, rows in demonstration_rows.groupby("subject_id"):
        rows_of_prompts = prompts_of.get(subject_id, prompt_rows.head(0))
        tasks.append(
            ExpertTask(
                str(subject_id),
                tuple(shard[key] for key in rows["image_id"]),
                tuple(rows["text"]),
                tuple(zip(rows_of_prompts["prompt_id"], rows_of_prompts["prompt"], strict=True)),
            )
        )
    return tasks


def main() -> None:
    arguments = parser(__doc__)
    for name in ("demonstrations", "prompts", "images"):
        arguments.add_argument(f"--{name}", required=True, metavar="FILE", help=f"the shard's {name}")
    arguments.add_argument("--cache", required=True, type=Path, metavar="FOLDER", help="what finished experts left")
    arguments.add_argument("--kept", type=Path, metavar="FOLDER", help="weights, if experts.keep is set")
    arguments.add_argument("--pictures", required=True, metavar="FILE", help="shard of the samples to write")
    arguments.add_argument("--samples", required=True, metavar="FILE", help="table 'samples' to write")
    arguments.add_argument("--log-table", required=True, metavar="FILE", help="table 'expert_log' to write")
    args = arguments.parse_args()
    s = args.settings
    if s.experts.keep and args.kept is None:
        arguments.error("--kept: experts.keep is set; name the folder for the weights")
    device = prepare(s.compute)
    context = {
        "seed": s.seed,
        "base": model_digest(s["models.base"]),
        "precision": precision(s.compute, device),
        "code": code_digest(__file__, ROOT),
    }
    tasks = read_tasks(args.demonstrations, args.prompts, args.images)
    addresses = [expert_address(task, s.experts, context) for task in tasks]
    kept = args.kept if s.experts.keep else None
    finished, results = Finished(args.cache), {}
    for task, address in zip(tasks, addresses, strict=True):
        result = find_result(finished, address)
        lost = (
            kept is not None
            and result is not None
            and result.log["status"] == "ok"
            and not is_kept(kept, task.subject_id, address)
        )
        if result is not None and not lost:
            results[address] = result
    pending = [(task, address) for task, address in zip(tasks, addresses, strict=True) if address not in results]
    if pending:  # a shard that the cache knows needs no models
        base = load_base(s["models.base"]).to(device)
        like = training_set(pending[0][0], base)
        limits = s.experts.experts_at_once, s.experts.micro_batch
        fit = fit_machine(*limits, base, fine_tuning(s.experts), s.compute, like)
        count = min(fit.experts, len(pending))
        progress = GroupBar("experts", len(tasks), len(results), desc=f"experts, {count} at once")
        with compiled(base.unet, s.compute):
            for first in range(0, len(pending), count):
                group = pending[first : first + count]
                with uncompiled(s.compute, len(group) < count):  # the last group: smaller, and there is one of it
                    done = run_experts(
                        *zip(*group, strict=True), base, s.experts, s.compute, s.seed, kept, fit.micro_batch
                    )
                for (_, address), result in zip(group, done, strict=True):
                    keep_result(finished, address, result)
                    results[address] = result
                progress.update(len(group))
        progress.close()
    ordered = [results[address] for address in addresses]
    drawn = ((row["sample_id"], image) for r in ordered for row, image in zip(r.samples, r.pictures, strict=True))
    write_shard(args.pictures, ((f"{key}.png", encode_png(image)) for key, image in drawn))
    tables.write(args.samples, "samples", [row for r in ordered for row in r.samples])
    tables.write(args.log_table, "expert_log", [r.log for r in ordered])
    dropped = [r.log["subject_id"] for r in ordered if r.log["status"] != "ok"]
    print(f"{len(tasks)} experts: {len(pending)} trained, the rest from the cache, {len(dropped)} dropped {dropped}")


if __name__ == "__main__":
    main()
