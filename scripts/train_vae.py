r"""Train the autoencoder in whose latents the text-to-image base works.

    python scripts/train_vae.py --out FOLDER --settings \
        '{"seed": 0, "compute": {}, "train_models.vae_steps": 2000, "train_models.compile": true}'
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from suti.cli.training import loop_options, training_parser
from suti.small_models.records import loop_settings
from suti.small_models.vae import train_decoder, train_vae


def main() -> None:
    """Parse the arguments and train."""
    arguments = training_parser(__doc__)
    arguments.add_argument("--batch-size", type=int, default=24, help="pictures a step")
    arguments.add_argument("--blocks", type=int, default=200, help="of 512 pictures, all that are used")
    arguments.add_argument("--initial", type=Path, help="folder of an autoencoder to go on from")
    arguments.add_argument("--decoder", action="store_true", help="with --initial: the decoder alone, latents stay")
    args = arguments.parse_args()
    if args.decoder and args.initial is None:
        arguments.error("--decoder: needs --initial, whose encoder it keeps")
    s = args.settings
    rate = 2e-3 if args.initial is None else 1e-3
    settings = loop_settings(
        "vae", s.seed, s["train_models.vae_steps"], rate, s.compute, optimizer="muon", hold=0.4, ema_decay=0.998,
        weight_decay=0.01, **loop_options(args), compile=s["train_models.compile"],
    )  # fmt: skip
    run = partial(train_decoder if args.decoder else train_vae, settings, args.out, args.checkpoint, args.loss)
    run(pool=args.pool or args.out.parent / ".pool", batch_size=args.batch_size, blocks=args.blocks,
        initial=args.initial)  # fmt: skip


if __name__ == "__main__":
    main()
