"""Names of runs: what stands in file names below generations and metrics, and in the column `run` of the tables.

A run is the pictures of one system: ``real`` (the true pictures), ``base`` (text alone), a system of
``suti.baselines.systems`` by its name, or SuTI at a lambda with a number of demonstrations, ``suti-q0.4-k4``. Where a
lambda stands, a control may stand (``suti-random-k4``). A second training of the same apprentice adds its number,
``suti-q0.4-k4-t2``; the first has none. ``experts`` are the samples that the apprentice learned from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

REAL, BASE, SUTI, EXPERTS = "real", "base", "suti", "experts"
LAMBDA = r"none|q?[0-9]*\.?[0-9]+"
"""Pattern of a lambda in names of files."""
Control = Literal["random", "copies", "copies-filtered"]
CONTROLS: tuple[Control, ...] = get_args(Control)
"""Sets to train on that no lambda made, to compare with those that one made (suti/controls.py)."""
TRAINED_ON = "|".join([LAMBDA, *CONTROLS])
"""Pattern of what an apprentice was trained on, a lambda or a control, in names of files."""
PATTERN = r"[a-z0-9][a-z0-9.-]*"
"""Pattern of any run's name."""
TRAINING = r"|-t(?:[2-9]|[1-9][0-9]+)"
"""Pattern of what a training adds to the names of its model and its runs: nothing for the first."""
TEMPLATE = SUTI + "-{lam}-k{k}{training}"
"""Name of a run of SuTI, to be filled in; Snakemake takes its fields for wildcards."""
_SUTI = re.compile(rf"{SUTI}-({TRAINED_ON})-k(\d+)({TRAINING})")
_PLAIN = re.compile(PATTERN)


@dataclass(frozen=True)
class Run:
    """A run; ``str()`` of it is its name.

    Attributes:
        system: 'real', 'base', 'suti', or a name of ``suti.baselines.systems``.
        lam: of SuTI alone: lambda of the filter as the configuration writes it, 'none', '0.02' or 'q0.4', or a control.
        demonstrations: of SuTI alone: pictures of the subject at inference, k.
        training: of SuTI alone: number of the apprentice's training, from 1. Trainings differ in their draws alone.
    """

    system: str
    lam: str | None = None
    demonstrations: int | None = None
    training: int = 1

    def __post_init__(self) -> None:
        form = _SUTI if self.system == SUTI else _PLAIN
        if not form.fullmatch(str(self)) or (self.lam is None) != (self.demonstrations is None):
            raise ValueError(f"run {str(self)!r}: expected a system's name, or suti-LAMBDA-kN, e.g. suti-q0.4-k4")
        if self.lam is None and self.training != 1:
            raise ValueError(f"run {str(self)!r}: only SuTI has several trainings")

    def __str__(self) -> str:
        if self.lam is None:
            return self.system + training_suffix(self.training)
        return TEMPLATE.format(lam=self.lam, k=self.demonstrations, training=training_suffix(self.training))

    @classmethod
    def suti(cls, lam: str, demonstrations: int, training: int = 1) -> Run:
        """SuTI at a lambda with a number of demonstrations."""
        return cls(SUTI, lam, demonstrations, training)

    @classmethod
    def parse(cls, name: str) -> Run:
        """The run of a name.

        Raises:
            ValueError: no name of a run.
        """
        match = _SUTI.fullmatch(name)
        return cls.suti(match[1], int(match[2]), training_number(match[3])) if match else cls(name)

    @property
    def is_control(self) -> bool:
        """Whether SuTI drew it, trained on a control and not on what a lambda left."""
        return self.lam in CONTROLS

    @property
    def is_suti(self) -> bool:
        """Whether SuTI drew it, at whatever lambda."""
        return self.system == SUTI

    @property
    def model(self) -> str:
        """What was trained: of SuTI its lambda, whatever the training and the demonstrations; else the system."""
        return self.system if self.lam is None else self.lam

    @property
    def first(self) -> Run:
        """The same run of the first training."""
        return replace(self, training=1)

    def at(self, lam: str | None = None, demonstrations: int | None = None) -> Run:
        """This run of SuTI at another lambda, or with another number of demonstrations."""
        return replace(
            self,
            lam=self.lam if lam is None else lam,
            demonstrations=self.demonstrations if demonstrations is None else demonstrations,
        )


def training_suffix(training: int) -> str:
    """What a training adds to names: '' for the first, '-t2' for the second.

    Raises:
        ValueError: below 1.
    """
    if training < 1:
        raise ValueError(f"training {training}: expected 1 or more")
    return "" if training == 1 else f"-t{training}"


def training_number(suffix: str) -> int:
    """Number of the training of such a suffix, from 1."""
    return int(suffix.removeprefix("-t")) if suffix else 1


def parse_suti(name: str) -> tuple[str, int]:
    """Lambda and number of demonstrations of the name of a run of SuTI.

    Raises:
        ValueError: another kind of run.
    """
    match = _SUTI.fullmatch(name)
    if match is None:
        raise ValueError(f"run {name!r}: expected suti-LAMBDA-kN, e.g. suti-q0.4-k4")
    return match[1], int(match[2])


def numbers_of_demonstrations(lam: str, names: Iterable[str]) -> list[int]:
    """The numbers of demonstrations, rising, with which SuTI at a lambda is among runs of these names."""
    runs = map(Run.parse, names)
    return sorted({run.demonstrations for run in runs if run.lam == lam and run.demonstrations is not None})
