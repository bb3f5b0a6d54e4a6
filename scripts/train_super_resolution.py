r"""Train the super-resolution stage, 64 to 256 px, with noise augmentation.

    python scripts/train_super_resolution.py --out FOLDER --settings \
        '{"seed": 0, "compute": {}, "train_models.super_resolution_steps": 550}'
"""

from __future__ import annotations

from suti.cli import training
from suti.small_models.super_resolution import train_super_resolution

if __name__ == "__main__":
    training.run(__doc__, "super_resolution", 1e-3, train_super_resolution, resumable=True)
