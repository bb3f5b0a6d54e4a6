r"""Train the DINO-like image encoder on the identity of rendered subjects.

    python scripts/train_dino.py --out FOLDER --settings \
        '{"seed": 0, "compute": {}, "train_models.dino_steps": 700}'
"""

from __future__ import annotations

from pathlib import Path

from suti.arguments import parser
from suti.training.dino import train_dino
from suti.training.records import loop_settings


def main() -> None:
    """Parse arguments, train, write the folder."""
    arguments = parser(__doc__)
    arguments.add_argument("--out", type=Path, required=True, help="model folder to write")
    arguments.add_argument("--checkpoint", type=Path, help="file from which a killed run resumes")
    arguments.add_argument("--loss", type=Path, help="JSON-lines file of the running losses")
    args = arguments.parse_args()
    s = args.settings
    train_dino(
        loop_settings("dino", s.seed, s["train_models.dino_steps"], 1.5e-3, s.compute),
        args.out,
        args.checkpoint,
        args.loss,
    )


if __name__ == "__main__":
    main()
