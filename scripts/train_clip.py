r"""Train the world's CLIP (both towers, open_clip) on renders and captions.

    python scripts/train_clip.py --out FOLDER --settings \
        '{"seed": 0, "compute": {}, "train_models.clip_steps": 1100}'
"""

from __future__ import annotations

from suti.cli import training
from suti.small_models.clip import train_clip

if __name__ == "__main__":
    training.run(__doc__, "clip", 1.5e-3, train_clip)
