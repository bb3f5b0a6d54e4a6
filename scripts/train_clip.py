r"""Train the world's CLIP (both towers, open_clip) on renders and captions.

    python scripts/train_clip.py --out FOLDER --settings \
        '{"seed": 0, "compute": {}, "train_models.clip_steps": 1100}'
"""

from __future__ import annotations

from pathlib import Path

from suti.arguments import parser
from suti.training.clip import train_clip
from suti.training.records import loop_settings


def main() -> None:
    """Parse arguments, train, write the folder."""
    arguments = parser(__doc__)
    arguments.add_argument("--out", type=Path, required=True, help="model folder to write")
    arguments.add_argument("--checkpoint", type=Path, help="file from which a killed run resumes")
    arguments.add_argument("--loss", type=Path, help="JSON-lines file of the running losses")
    args = arguments.parse_args()
    s = args.settings
    train_clip(
        loop_settings("clip", s.seed, s["train_models.clip_steps"], 1.5e-3, s.compute),
        args.out,
        args.checkpoint,
        args.loss,
    )


if __name__ == "__main__":
    main()
