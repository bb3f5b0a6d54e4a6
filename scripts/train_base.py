"""Train the embedded world's text-to-image base and save it as a diffusers folder.

Progress is kept in CHECKPOINT: a killed run goes on where it was when called again.
"""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

from suti.cli.arguments import parser
from suti.compute import precision, prepare
from suti.io.atomic import atomic_path, write_json, write_text
from suti.io.provenance import provenance
from suti.models.pipeline import save_base
from suti.small_models.base import BaseTraining, train_base


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--out", required=True, metavar="FOLDER", help="the model folder")
    arguments.add_argument("--checkpoint", required=True, metavar="FILE", help="progress of an unfinished run")
    args = arguments.parse_args()
    s = args.settings
    device = prepare(s.compute)
    training = s.train_models
    start = time.perf_counter()
    log: list[dict[str, float]] = []
    base = train_base(
        BaseTraining(
            steps=training.base_steps, batch_size=training.base_batch_size, peak_rate=training.base_learning_rate,
            seed=s.seed, precision=precision(s.compute, device), device=device, compile=training.compile,
        ),
        Path(args.checkpoint), log,
    )  # fmt: skip
    table = io.StringIO()
    rows = csv.DictWriter(table, ["step", "loss"])
    rows.writeheader()
    rows.writerows(log)
    with atomic_path(args.out) as folder:
        save_base(base, folder)
        write_text(folder / "loss.csv", table.getvalue())
        settings = {"seed": s.seed, "precision": s.compute.precision, "train_models": training.model_dump(mode="json")}
        record = provenance(settings, time.perf_counter() - start, final_loss=log[-1]["loss"],
                            images=training.base_steps * training.base_batch_size)  # fmt: skip
        write_json(folder / "provenance.json", record)
    Path(args.checkpoint).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
