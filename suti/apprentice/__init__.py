"""The apprentice (section 4.2): one model trained on G to do what the experts did, from demonstrations alone (Eq. 5).

A step takes some subjects. Of each it takes a few demonstrations from the cluster C_s, encoded once, and a few of
the experts' samples as targets, which share that encoding. Conditions are dropped at times, for guidance.
"""

from suti.apprentice.data import Batch, Subject, dropped, hold_out, make_batch
from suti.apprentice.loop import train_apprentice
from suti.apprentice.trainer import Trainer, apprentice_loss, new_apprentice

__all__ = [
    "Subject", "Batch", "make_batch", "dropped", "hold_out", "apprentice_loss", "Trainer", "new_apprentice",
    "train_apprentice",
]  # fmt: skip
