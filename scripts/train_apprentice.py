"""Train the apprentice on G at one lambda, or on the clusters themselves, and save it as a SuTIPipeline folder.

    python scripts/train_apprentice.py --training-set samples --filtered results/filtered/q0.4.parquet \\
        --samples S.parquet ... --pictures S.tar ... --demonstrations D.parquet ... --images I.tar ... \\
        --subjects results/subjects/subjects-0.parquet ... --checkpoints results/apprentice/.checkpoints/q0.4 \\
        --out-dir results/apprentice/q0.4 \\
        --settings '{"seed": 0, "compute": {}, "models.base": "...", "apprentice": {}}'

``--training-set`` says what it learns from. ``samples``, G, is the apprentice. The other two have no experts
(docs/baselines.md): a picture of a cluster is the target, and its demonstrations are others of the cluster
(``clusters``), or the nearest pictures of other pages (``neighbours``, Re-Imagen).

``--training 2`` trains the same apprentice again: every random draw is another one, the subjects held out are the same.

A killed run goes on from its last checkpoint and ends with the same weights as an undisturbed one. While it trains,
its metrics and sheets lie in CHECKPOINTS/training, at the end in OUT_DIR/training. With `processes` above 1 it starts
itself again under torchrun; started by torchrun, on one machine or several, it takes the processes that are there.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from pathlib import Path

import pandas as pd
from accelerate import Accelerator

from suti.apprentice import Subject, Trainer, hold_out, new_apprentice, train_apprentice
from suti.apprentice.processes import run_in_processes
from suti.cli.arguments import parser
from suti.compute import precision, prepare
from suti.config.schema import APPRENTICE_COMPUTING
from suti.digests import model_digest
from suti.io import tables
from suti.io.atomic import atomic_path, read_json, write_json, write_text
from suti.io.picture_store import PictureStore
from suti.io.provenance import provenance, settings_hash
from suti.models.base import load_base
from suti.models.pipeline import SuTIPipeline
from suti.seeds import training_seed

# Files that each training set takes, beside demonstrations, images and subjects, which all do.
NEEDED = {"samples": ("filtered", "samples", "pictures"), "clusters": (), "neighbours": ("neighbours",)}


def read_subjects(
    filtered: pd.DataFrame, samples: pd.DataFrame, demonstrations: pd.DataFrame, named: pd.DataFrame
) -> list[Subject]:
    """Subjects with samples in G, sorted: neither shards nor their order change the training."""
    named = named.set_index("subject_id")
    kept = samples[samples["sample_id"].isin(set(filtered["sample_id"]))].sort_values("sample_id")
    demonstrations_of = dict(iter(demonstrations.sort_values("image_id").groupby("subject_id")))
    return [
        Subject(
            str(subject_id),
            tuple(zip(demonstrations_of[subject_id]["image_id"], demonstrations_of[subject_id]["text"], strict=True)),
            tuple(zip(rows["sample_id"], rows["prompt"], strict=True)),
            str(named["description"][subject_id]),
            str(named["class_name"][subject_id]),
        )
        for subject_id, rows in kept.groupby("subject_id")
    ]


def cluster_subjects(demonstrations: pd.DataFrame, named: pd.DataFrame) -> list[Subject]:
    """Clusters of two pictures or more, sorted, whose own pictures and refined captions are the targets."""
    named = named.set_index("subject_id")
    found = []
    for subject_id, rows in demonstrations.sort_values("image_id").groupby("subject_id"):
        own = tuple(zip(rows["image_id"], rows["text"], strict=True))
        if len(own) > 1:
            name = str(named["description"][subject_id]), str(named["class_name"][subject_id])
            found.append(Subject(str(subject_id), own, own, *name))
    return found


def neighbour_subjects(demonstrations: pd.DataFrame, named: pd.DataFrame, near: pd.DataFrame) -> list[Subject]:
    """One entry a picture of a cluster that has neighbours: it is the target, they are the demonstrations.

    Sorted by the picture. The entries of a cluster have its subject_id.
    """
    names = dict(zip(named["subject_id"], zip(named["description"], named["class_name"], strict=True), strict=True))
    shown = demonstrations.set_index("image_id")
    texts, owners = shown["text"].to_dict(), shown["subject_id"].to_dict()
    found = []
    for image_id, rows in near.sort_values(["image_id", "rank"]).groupby("image_id"):
        keys = rows["neighbour_id"].tolist()
        found.append(
            Subject(
                owners[image_id],
                tuple((key, texts[key]) for key in keys),
                ((str(image_id), texts[image_id]),),
                description=names[owners[image_id]][0],
                class_name=names[owners[image_id]][1],
                shown_names=tuple(names[owners[key]] for key in keys),
            )
        )
    return found


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--training-set", required=True, choices=NEEDED, help="what it learns from")
    arguments.add_argument("--steps", type=int, metavar="N", help="in the place of apprentice.steps")
    arguments.add_argument("--filtered", metavar="FILE", help="G at this lambda")
    for name in ("samples", "pictures"):
        arguments.add_argument(f"--{name}", nargs="+", metavar="FILE", help=f"{name} of all shards")
    arguments.add_argument("--neighbours", metavar="FILE", help="table 'neighbours'")
    for name in ("demonstrations", "images", "subjects"):
        arguments.add_argument(f"--{name}", required=True, nargs="+", metavar="FILE", help=f"{name} of all shards")
    arguments.add_argument("--training", type=int, default=1, metavar="N", help="number of the training, from 1")
    arguments.add_argument("--checkpoints", required=True, type=Path, metavar="FOLDER", help="progress of this run")
    arguments.add_argument("--out-dir", required=True, type=Path, metavar="FOLDER", help="the SuTIPipeline folder")
    args = arguments.parse_args()
    needed = NEEDED[args.training_set]
    given = [name for name in ("filtered", "samples", "pictures", "neighbours") if getattr(args, name)]
    if set(given) != set(needed):
        wanted, seen = (" ".join(f"--{name}" for name in names) or "none" for names in (needed, given))
        arguments.error(f"--training-set: {args.training_set} takes of these files: {wanted}; given: {seen}")
    s = args.settings
    what = s.apprentice if args.steps is None else s.apprentice.model_copy(update={"steps": args.steps})
    run_in_processes(s.apprentice.processes)
    accelerator = Accelerator(cpu=prepare(s.compute).type == "cpu")
    device = accelerator.device
    start = time.perf_counter()
    demonstrations = tables.read_all(args.demonstrations, "demonstrations")
    named = tables.read_all(args.subjects, "subjects")
    if args.training_set == "samples":
        filtered, drawn = tables.read(args.filtered, "filtered"), tables.read_all(args.samples, "samples")
        subjects = read_subjects(filtered, drawn, demonstrations, named)
    elif args.training_set == "clusters":
        subjects = cluster_subjects(demonstrations, named)
    else:
        subjects = neighbour_subjects(demonstrations, named, tables.read(args.neighbours, "neighbours"))
    count = sum(len(subject.targets) for subject in subjects)
    subjects, held_out = hold_out(subjects, what.validation_share, s.seed)
    base = load_base(s["models.base"]).to(device)
    seed = training_seed(s.seed, args.training)
    unet = new_apprentice(base, what, seed).to(device)
    trainer = Trainer(unet, base, what, s.compute, seed, accelerator=accelerator)
    # Progress belongs to exactly these data and settings: any other progress in the folder is not ours.
    lasting = what.model_dump(mode="json", exclude=set(APPRENTICE_COMPUTING))
    settings = {"seed": s.seed, "apprentice": lasting, "base": model_digest(s["models.base"]),
                "precision": precision(s.compute, device)}  # fmt: skip
    if args.training > 1:
        settings["training"] = args.training
    run = settings_hash([settings, [dataclasses.astuple(subject) for subject in subjects]])
    if trainer.is_main:
        claim(args.checkpoints, run)
    accelerator.wait_for_everyone()
    watched = list({t.subject_id: t for t in held_out or subjects}.values())  # one entry of each
    targets = {key for t in (*subjects, *held_out) for key, _ in t.targets}
    samples = PictureStore(args.pictures or args.images, targets)
    images = PictureStore(args.images, {key for t in (*subjects, *held_out) for key, _ in t.demonstrations})
    monitor = None
    if what.sample_every and subjects:
        from suti.figures.training import Monitor  # it loads DVCLive

        monitor = Monitor(args.checkpoints / "training", watched, samples, images, bool(held_out))
    unet = train_apprentice(trainer, subjects, samples, images, args.checkpoints, monitor)
    if trainer.is_main:
        record = provenance(settings, time.perf_counter() - start, training_set=args.training_set, samples=count,
                            subjects=len({t.subject_id for t in subjects}),
                            held_out=len({t.subject_id for t in held_out}), processes=accelerator.num_processes,
                            waiting_for_data=round(trainer.waited, 4),
                            new_parameters=sum(p.numel() for p in unet.new_parameters()),
                            base_parameters=sum(p.numel() for p in unet.base_parameters()))  # fmt: skip
        pipeline = SuTIPipeline.of(base.with_network(unet))
        with atomic_path(args.out_dir) as folder:
            pipeline.save_pretrained(folder, safe_serialization=True, provenance=record)
            lines = [f"{row['step']},{row['loss']:.6f}" for row in trainer.losses]
            write_text(folder / "loss.csv", "\n".join(["step,loss", *lines]) + "\n")
            write_json(folder / "provenance.json", record)
            if (args.checkpoints / "training").exists():
                shutil.copytree(args.checkpoints / "training", folder / "training")
        shutil.rmtree(args.checkpoints)
    accelerator.end_training()


def claim(checkpoints: Path, run: str) -> None:
    """Make the folder of checkpoints this run's own: progress of a run with other data or settings is removed."""
    marker = checkpoints / "run.json"
    if checkpoints.exists() and not (marker.exists() and read_json(marker) == {"run": run}):
        shutil.rmtree(checkpoints)
    write_json(marker, {"run": run})


if __name__ == "__main__":
    main()
