"""What can be watched while an apprentice trains: metrics (DVCLive), validation losses, sheets of samples, loss.png.

Everything is drawn anew from the trainer's own rows when a killed run goes on, so the folder is that of an
undisturbed one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from dvclive import Live

from suti.apprentice.data import Subject
from suti.apprentice.trainer import Trainer
from suti.apprentice.validation import SHOWN, Views, fixed_views, samples, validation_losses
from suti.figures.grids import Cell, Sheet, save
from suti.figures.style import BLUE, GREEN, GREY, INK, VERMILION, figure, save_csv
from suti.figures.style import save as save_figure

NAMES = {"right": "its own demonstrations", "wrong": "another subject's", "none": "none"}
COLOURS = {"right": GREEN, "wrong": VERMILION, "none": BLUE}


class Monitor:
    """Called with the trainer after every step; writes below ``folder`` every so many steps and at the end.

    Files: ``metrics.json`` and ``plots/metrics`` by DVCLive (losses, share of waiting for data), ``validation.csv``,
    ``loss.png``, and ``samples/step-*.png`` with demonstrations, target and samples.
    """

    def __init__(
        self,
        folder: Path,
        subjects: Sequence[Subject],
        target_picture: Callable[[str], np.ndarray],
        demonstration_picture: Callable[[str], np.ndarray],
        held_out: bool,
    ) -> None:
        """``subjects`` are shown and validated on; ``held_out`` says in the sheets whether the training lacks them."""
        self._folder, self._subjects, self._held_out = folder, subjects, held_out
        self._pictures = (target_picture, demonstration_picture)
        self._live: Live | None = None
        self._views: Views | None = None

    def __call__(self, trainer: Trainer) -> None:
        """Write what is due at the trainer's step."""
        settings, step = trainer.settings, trainer.step
        last = step == settings.steps
        if settings.sample_every and (last or step % settings.sample_every == 0):
            if self._views is None:
                k, size = settings.demonstrations, trainer.base.image_size
                self._views = fixed_views(self._subjects, *self._pictures, k, size, trainer.seed)
            trainer.validation.append({"step": step, **validation_losses(trainer, self._views)})
            save(self._sheet(samples(trainer, self._views), step), self._folder / "samples" / f"step-{step:06d}.png")
            save_csv(pd.DataFrame(trainer.validation), self._folder / "validation.csv")
            self._plot(trainer)
        if last or step % 10 == 0 or (trainer.validation and trainer.validation[-1]["step"] == step):
            self._log(trainer)

    def _log(self, trainer: Trainer) -> None:
        """Pass new rows to DVCLive; on the first call those from before too, in the order of their steps."""
        fresh = self._live is None
        if self._live is None:
            os.environ.setdefault("DVC_STUDIO_OFFLINE", "true")  # metrics stay on this machine
            self._live = Live(str(self._folder), dvcyaml=False, report=None, save_dvc_exp=False)
        rows: dict[int, dict[str, float]] = {}
        for row in trainer.losses:
            rows.setdefault(int(row["step"]), {})["train/loss"] = row["loss"]
        for row in trainer.validation:
            named = {f"validation/{name}": value for name, value in row.items() if name != "step"}
            rows.setdefault(int(row["step"]), {}).update(named)
        for step in sorted(rows) if fresh else [trainer.step] if trainer.step in rows else []:
            self._live.step = step
            for name, value in rows[step].items():
                self._live.log_metric(name, value)
            if step == trainer.step:
                self._live.log_metric("data/waiting", trainer.waited)
            self._live.make_summary()  # `Live.end` would add the folder to git inside an experiment of DVC

    def _sheet(self, drawn: dict[str, np.ndarray], step: int) -> Sheet:
        views, rows = self._views, []
        assert views is not None
        for number, prompt in enumerate(views.prompts[:SHOWN]):
            own = slice(number * views.k, (number + 1) * views.k)
            shown = zip(views.demonstrations[own], views.texts[own], strict=True)
            cells = [Cell(_picture(x), text) for x, text in shown]
            cells.append(Cell(_picture(views.targets[number]), prompt))
            rows.append(cells + [Cell(pictures[number], frame=COLOURS[name]) for name, pictures in drawn.items()])
        headers = ["demonstrations", *[""] * (views.k - 1), "target", *(NAMES[name] for name in drawn)]
        note = "Subjects that the training does not see." if self._held_out else "Subjects of the training set."
        note += " At the right what the apprentice draws from its own, another subject's and no demonstrations."
        return Sheet(f"Apprentice after {step:,} steps", rows, headers, (), note, frozenset({views.k, views.k + 1}))

    def _plot(self, trainer: Trainer) -> None:
        with figure(7.2, 4.0) as (fig, axes):
            train, valid = pd.DataFrame(trainer.losses), pd.DataFrame(trainer.validation)
            if len(train):
                axes.plot(train["step"], train["loss"], color=GREY, lw=1.4, label="training")
            for name in (n for n in NAMES if n in valid):
                axes.plot(valid["step"], valid[name], color=COLOURS[name], marker="o", ms=4, label=NAMES[name])
            axes.set_xlabel("steps")
            axes.set_ylabel("denoising loss (Eq. 5)")
            axes.set_title("Validation by what the apprentice is shown", color=INK)
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
            save_figure(fig, self._folder / "loss.png")


def _picture(x: torch.Tensor) -> np.ndarray:
    """uint8 ``(H, W, 3)`` of ``(3, H, W)`` in [-1, 1]."""
    return ((x.permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).byte().numpy()
