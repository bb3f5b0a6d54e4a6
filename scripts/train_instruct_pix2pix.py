"""Train InstructPix2Pix on its pairs, filtered by CLIP, and save it as a diffusers folder.

Progress is kept in CHECKPOINT: a killed run goes on where it was and ends at the same weights.
"""

from __future__ import annotations

from pathlib import Path

from suti.baselines.instruct_pix2pix import (
    data_key,
    editing_model,
    editing_set,
    save_instruct_pix2pix,
    train_instruct_pix2pix,
)
from suti.baselines.instruction_pairs import chosen_pairs
from suti.cli.arguments import parser
from suti.compute import precision, prepare
from suti.digests import model_digest
from suti.io import tables
from suti.io.atomic import atomic_path, write_json
from suti.io.picture_store import PictureStore
from suti.io.provenance import provenance
from suti.models.base import load_base
from suti.small_models.loop import LoopSettings

NAMES = ("min_image", "min_text", "min_direction", "keep", "steps", "batch_size", "learning_rate", "drop")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--pairs", required=True, metavar="FILE", help="table 'instruction_pairs'")
    arguments.add_argument("--images", required=True, metavar="FILE", help="shard of their pictures")
    arguments.add_argument("--out", required=True, metavar="FOLDER", help="the model folder")
    arguments.add_argument("--checkpoint", required=True, metavar="FILE", help="progress of an unfinished run")
    arguments.add_argument("--loss", metavar="FILE", help="JSON-lines file of the running loss")
    args = arguments.parse_args()
    s = args.settings
    device = prepare(s.compute)
    chosen = {name: s[f"baselines.instruct_pix2pix.{name}"] for name in NAMES}
    table = tables.read(args.pairs, "instruction_pairs")
    kept = chosen_pairs(
        table, chosen["min_image"], chosen["min_text"], chosen["min_direction"], chosen["keep"]
    )  # fmt: skip
    print(f"{len(kept)} of {len(table)} pairs pass the filter")
    store = PictureStore([args.images])
    model = editing_model(load_base(s["models.base"]).to(device))
    before, after = ([store(f"{pair}-{side}") for pair in kept["pair_id"]] for side in ("before", "after"))
    data = editing_set(model, before, after, list(kept["instruction"]))
    key = data_key([model_digest(s["models.base"]), kept[["pair_id", "instruction", "clip_image"]].to_numpy().tolist()])
    settings = LoopSettings(
        f"instruct-pix2pix-{key}", s.seed, chosen["steps"], chosen["learning_rate"], threads=s.compute.threads,
        device=device.type, precision=precision(s.compute, device), ema_decay=0.99,
    )  # fmt: skip
    seconds = train_instruct_pix2pix(
        model, data, settings, chosen["batch_size"], chosen["drop"], args.checkpoint, args.loss
    )
    with atomic_path(args.out) as folder:
        save_instruct_pix2pix(model, Path(folder))
        record = {"seed": s.seed, "precision": settings.precision, **chosen}
        write_json(
            Path(folder) / "provenance.json",
            provenance(record, seconds, pairs=len(kept), pairs_drawn=len(table)),
        )


if __name__ == "__main__":
    main()
