r"""Train the captioner on renders and their captions.

    python scripts/train_captioner.py --out FOLDER --settings \
        '{"seed": 0, "compute": {}, "train_models.captioner_steps": 1000}'
"""

from __future__ import annotations

from pathlib import Path

from suti.arguments import parser
from suti.training.captioner import train_captioner
from suti.training.records import loop_settings


def main() -> None:
    """Parse arguments, train, write the folder."""
    arguments = parser(__doc__)
    arguments.add_argument("--out", type=Path, required=True, help="model folder to write")
    arguments.add_argument("--checkpoint", type=Path, help="file from which a killed run resumes")
    arguments.add_argument("--loss", type=Path, help="JSON-lines file of the running losses")
    args = arguments.parse_args()
    s = args.settings
    train_captioner(
        loop_settings("captioner", s.seed, s["train_models.captioner_steps"], 1e-3, s.compute),
        args.out,
        args.checkpoint,
        args.loss,
    )


if __name__ == "__main__":
    main()
