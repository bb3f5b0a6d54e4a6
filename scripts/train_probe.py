r"""Train the probe networks, which judge pictures of the world: subject, text and realism.

    python scripts/train_probe.py --out FOLDER --settings \
        '{"seed": 0, "compute": {}, "train_models.probe_steps": 1350}'

With --fakes, samples of a base model are shown to the realism head as further pictures that are not real.
"""

from __future__ import annotations

from pathlib import Path

from suti.cli import training
from suti.io.shards import read_images
from suti.small_models.probe import train_probe
from suti.small_models.records import loop_settings


def main() -> None:
    """Parse arguments, train, write the folder."""
    import numpy as np

    arguments = training.training_parser(__doc__)
    arguments.add_argument("--fakes", type=Path, nargs="*", default=[], help="tar shards of samples of a base model")
    arguments.add_argument("--initial", type=Path, help="probe folder to go on from, at half the rate")
    args = arguments.parse_args()
    s = args.settings
    samples = read_images(args.fakes)
    fakes = np.stack(list(samples.values())) if samples else None
    rate = 2e-3 if args.initial is None else 1e-3
    steps = s["train_models.probe_steps"]
    settings = loop_settings("probe", s.seed, steps, rate, s.compute, **training.loop_options(args))
    train_probe(settings, args.out, args.checkpoint, args.loss, fakes, args.initial, args.pool)


if __name__ == "__main__":
    main()
