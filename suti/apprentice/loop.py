"""The apprentice's loop: data ahead of the step, checkpoints, progress."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from suti.apprentice.checkpoints import checkpoint_path, newest_first, rotate
from suti.apprentice.data import Batch, Subject, make_batch, sample_weights
from suti.apprentice.stream import BatchesAhead
from suti.apprentice.trainer import Trainer
from suti.models.apprentice_unet import ApprenticeUNet


def train_apprentice(
    trainer: Trainer,
    subjects: Sequence[Subject],
    target_picture: Callable[[str], np.ndarray],
    demonstration_picture: Callable[[str], np.ndarray],
    checkpoints: Path,
    monitor: Callable[[Trainer], None] | None = None,
) -> ApprenticeUNet:
    """Train to ``settings.steps`` and return the averaged weights; goes on from the newest whole checkpoint.

    Args:
        target_picture: uint8 ``(H, W, 3)`` by key, of the experts' samples; called from several threads.
        demonstration_picture: the same of the demonstrations.
        checkpoints: folder of this run's progress.
        monitor: called by the main process after every step; must leave weights and global random state alone.

    Raises:
        ValueError: G is empty.
        FloatingPointError: the loss is not finite.
    """
    if not subjects:
        raise ValueError("apprentice: G is empty at this lambda; lower it in filtering.grid")
    settings, weights = trainer.settings, sample_weights(subjects)
    resume(trainer, checkpoints)
    pictures = {key for s in subjects for key, _ in (*s.demonstrations, *s.targets)}
    trainer.keep_latents = trainer.latents_fit(len(pictures))

    def make(step: int) -> Batch:
        return make_batch(
            subjects, target_picture, demonstration_picture, settings, trainer.base.image_size, trainer.seed, step,
            trainer.process, weights,
        )  # fmt: skip

    batches = BatchesAhead(make, trainer.step, settings.steps, settings.loader_workers)
    progress = tqdm(
        total=settings.steps, initial=trainer.step, desc="apprentice", unit="step", mininterval=5,
        disable=not trainer.is_main,
    )  # fmt: skip
    smooth, computing = trainer.losses[-1]["loss"] if trainer.losses else math.nan, 0.0
    trainer.unet.train()
    with closing(iter(batches)) as stream:
        for batch in stream:
            start = time.perf_counter()
            loss = trainer.train_step(batch)
            computing += time.perf_counter() - start
            trainer.waited = batches.waited / (batches.waited + computing)
            smooth = loss if math.isnan(smooth) else 0.97 * smooth + 0.03 * loss
            progress.update()
            progress.set_postfix_str(f"loss {smooth:.4f}, waiting for data {trainer.waited:.1%}", refresh=False)
            if trainer.step % 10 == 0:
                trainer.losses.append({"step": trainer.step, "loss": smooth})
            if monitor and trainer.is_main:
                monitor(trainer)
            if trainer.step % settings.checkpoint_every == 0 and trainer.step < settings.steps and trainer.is_main:
                trainer.save(checkpoint_path(checkpoints, trainer.step))
                rotate(checkpoints, settings.keep_checkpoints)
    progress.close()
    trainer.ema.copy_to(trainer.unet.parameters())
    return trainer.unet.requires_grad_(False).eval()


def resume(trainer: Trainer, checkpoints: Path) -> None:
    """Continue from the newest whole checkpoint of a folder, if there is any; a damaged one is named in a warning."""
    trainer.accelerator.wait_for_everyone()  # all processes look at the same files
    for path in newest_first(checkpoints):
        try:
            trainer.resume(path)
        except ValueError as error:
            warnings.warn(f"{error}; going on from the one before", stacklevel=2)
        else:
            break
    trainer.accelerator.wait_for_everyone()
