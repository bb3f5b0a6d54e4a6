r"""Train the captioner on renders and their captions.

    python scripts/train_captioner.py --out FOLDER --settings \
        '{"seed": 0, "compute": {}, "train_models.captioner_steps": 1000}'
"""

from __future__ import annotations

from suti.cli import training
from suti.small_models.captioner import train_captioner

if __name__ == "__main__":
    training.run(__doc__, "captioner", 1e-3, train_captioner)
