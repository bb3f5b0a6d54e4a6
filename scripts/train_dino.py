r"""Train the DINO-like image encoder on the identity of rendered subjects.

    python scripts/train_dino.py --out FOLDER --settings \
        '{"seed": 0, "compute": {}, "train_models.dino_steps": 700}'
"""

from __future__ import annotations

from suti.cli import training
from suti.small_models.dino import train_dino

if __name__ == "__main__":
    training.run(__doc__, "dino", 1.5e-3, train_dino)
