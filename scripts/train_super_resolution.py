r"""Train the super-resolution stage, 32 to 64 px, with noise augmentation.

    python scripts/train_super_resolution.py --out FOLDER --settings \
        '{"seed": 0, "compute": {}, "train_models.super_resolution_steps": 550}'
"""

from __future__ import annotations

from pathlib import Path

from suti.arguments import parser
from suti.training.records import loop_settings
from suti.training.super_resolution import train_super_resolution


def main() -> None:
    """Parse arguments, train, write the folder."""
    arguments = parser(__doc__)
    arguments.add_argument("--out", type=Path, required=True, help="model folder to write")
    arguments.add_argument("--checkpoint", type=Path, help="file from which a killed run resumes")
    arguments.add_argument("--loss", type=Path, help="JSON-lines file of the running losses")
    args = arguments.parse_args()
    s = args.settings
    train_super_resolution(
        loop_settings("super_resolution", s.seed, s["train_models.super_resolution_steps"], 1e-3, s.compute),
        args.out,
        args.checkpoint,
        args.loss,
    )


if __name__ == "__main__":
    main()
