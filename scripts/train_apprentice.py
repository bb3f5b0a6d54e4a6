"""Train the apprentice on G at one lambda and save it as a SuTIPipeline folder.

    python scripts/train_apprentice.py --filtered results/filtered/q0.4.parquet --scores S.parquet ... \\
        --samples S.tar ... --demonstrations D.parquet ... --images I.tar ... \\
        --subjects results/subjects/subjects-0.parquet ... --checkpoints results/apprentice/.checkpoints/q0.4 \\
        --out-dir results/apprentice/q0.4 \\
        --settings '{"seed": 0, "compute": {}, "models.base": "...", "apprentice": {}}'

A killed run goes on from its last checkpoint and ends with the same weights as an undisturbed one.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from pathlib import Path

import pandas as pd

from suti import tables
from suti.apprentice import Subject, Trainer, new_apprentice, train_apprentice
from suti.arguments import parser
from suti.compute import precision, prepare
from suti.digests import model_digest
from suti.io.atomic import atomic_path, read_json, write_json, write_text
from suti.io.picture_store import PictureStore
from suti.io.provenance import provenance, settings_hash
from suti.models.base import load_base
from suti.models.pipeline import SuTIPipeline


def read_subjects(
    filtered: pd.DataFrame, scores: pd.DataFrame, demonstrations: pd.DataFrame, named: pd.DataFrame
) -> list[Subject]:
    """Subjects with samples in G, sorted: neither shards nor their order change the training."""
    named = named.set_index("subject_id")
    kept = scores[scores["sample_id"].isin(set(filtered["sample_id"]))].sort_values("sample_id")
    shown = dict(iter(demonstrations.sort_values("image_id").groupby("subject_id")))
    return [
        Subject(
            str(subject_id),
            tuple(zip(shown[subject_id]["image_id"], shown[subject_id]["text"], strict=True)),
            tuple(zip(rows["sample_id"], rows["prompt"], strict=True)),
            str(named["description"][subject_id]),
            str(named["class_name"][subject_id]),
        )
        for subject_id, rows in kept.groupby("subject_id")
    ]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--filtered", required=True, metavar="FILE", help="G at this lambda")
    for name in ("scores", "samples", "demonstrations", "images", "subjects"):
        arguments.add_argument(f"--{name}", required=True, nargs="+", metavar="FILE", help=f"{name} of all shards")
    arguments.add_argument("--checkpoints", required=True, type=Path, metavar="FOLDER", help="progress of this run")
    arguments.add_argument("--out-dir", required=True, type=Path, metavar="FOLDER", help="the SuTIPipeline folder")
    args = arguments.parse_args()
    s = args.settings
    device = prepare(s.compute)
    start = time.perf_counter()
    filtered = tables.read(args.filtered, "filtered")
    subjects = read_subjects(
        filtered, tables.read_all(args.scores, "scores"), tables.read_all(args.demonstrations, "demonstrations"),
        tables.read_all(args.subjects, "subjects"),
    )  # fmt: skip
    base = load_base(s["models.base"]).to(device)
    trainer = Trainer(new_apprentice(base, s.apprentice, s.seed).to(device), base, s.apprentice, s.compute, s.seed)
    # Progress belongs to exactly these data and settings: any other progress in the folder is not ours.
    settings = {"seed": s.seed, "apprentice": s.apprentice.model_dump(mode="json", exclude={"checkpoint_every"}),
                "base": model_digest(s["models.base"]), "precision": precision(s.compute, device)}  # fmt: skip
    run = settings_hash(
        [settings, [(t.subject_id, t.demonstrations, t.targets, t.description, t.class_name) for t in subjects]]
    )
    marker = args.checkpoints / "run.json"
    if args.checkpoints.exists() and not (marker.exists() and read_json(marker) == {"run": run}):
        shutil.rmtree(args.checkpoints)
    write_json(marker, {"run": run})
    unet = train_apprentice(
        trainer, subjects, PictureStore(args.samples), PictureStore(args.images), args.checkpoints / "checkpoint.pt"
    )
    pipeline = SuTIPipeline(unet, base.text_encoder, base.tokenizer, base.scheduler, base.vae)
    with atomic_path(args.out_dir) as folder:
        pipeline.save_pretrained(folder, safe_serialization=True)
        lines = [f"{row['step']},{row['loss']:.6f}" for row in trainer.losses]
        write_text(folder / "loss.csv", "\n".join(["step,loss", *lines]) + "\n")
        record = provenance(settings, time.perf_counter() - start, subjects=len(subjects), samples=len(filtered),
                            new_parameters=sum(p.numel() for p in unet.new_parameters()),
                            base_parameters=sum(p.numel() for p in unet.base_parameters()))  # fmt: skip
        write_json(folder / "provenance.json", record)
    shutil.rmtree(args.checkpoints)


if __name__ == "__main__":
    main()
