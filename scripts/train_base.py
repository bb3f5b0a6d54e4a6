"""Train the embedded world's text-to-image base and save it as a diffusers folder.

Progress is kept in CHECKPOINT: a killed run goes on where it was when called again.
"""

from __future__ import annotations

import time
from pathlib import Path

from suti.cli.training import loop_options, training_parser
from suti.small_models.base import train_base
from suti.small_models.records import loop_settings


def main() -> None:
    """Parse the arguments and train."""
    arguments = training_parser(__doc__)
    arguments.add_argument("--vae", type=Path, help="folder of the autoencoder; without: patches of pixels")
    arguments.add_argument("--wait", action="store_true", help="until another process has written the autoencoder")
    arguments.add_argument("--initial", type=Path, help="folder of a base to go on from")
    arguments.add_argument("--learning-rate", type=float, help="peak; default: the setting's, and half with --initial")
    arguments.add_argument("--batch-size", type=int, help="pictures a step; default: the setting's")
    arguments.add_argument("--blocks", type=int, default=1000, help="of 512 pictures, all that are used")
    args = arguments.parse_args()
    while args.wait and not (args.vae / "provenance.json").is_file():
        time.sleep(0.1)
    s = args.settings
    training = s.train_models
    options = loop_options(args)
    if options["seconds"] is not None:
        options["checkpoint_every"] = 500  # half a minute of a GPU: what a run that failed has to do again
    new = args.initial is None
    rate = args.learning_rate or training.base_learning_rate * (1 if new else 0.5)
    settings = loop_settings(
        "base", s.seed, training.base_steps, rate, s.compute, optimizer="muon", hold=0.4 if new else 0.0,
        warmup=300 if new else 100, ema_decay=0.999, weight_decay=0.01, **options, compile=training.compile,
    )  # fmt: skip
    train_base(
        settings, args.out, args.checkpoint, args.loss or args.out.parent / f".{args.out.name}-loss.jsonl",
        pool=args.pool or args.out.parent / ".pool", vae=args.vae, initial=args.initial,
        batch_size=args.batch_size or training.base_batch_size, blocks=args.blocks,
    )  # fmt: skip


if __name__ == "__main__":
    main()
