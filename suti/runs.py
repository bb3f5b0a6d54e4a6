"""Names of runs: what stands in file names below generations and metrics, and in the column `run` of the tables.

A run is the pictures of one system: ``real`` (the true pictures), ``base`` (text alone), a system of
``suti.baselines.systems`` by its name, or SuTI at a lambda with a number of demonstrations, ``suti-q0.4-k4``. Where a
lambda stands, a control may stand (``suti-random-k4``). ``experts`` are the samples that the apprentice learned from.
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
TEMPLATE = SUTI + "-{lam}-k{k}"
"""Name of a run of SuTI, to be filled in; Snakemake takes its fields for wildcards."""
_SUTI = re.compile(rf"{SUTI}-({TRAINED_ON})-k(\d+)")
_PLAIN = re.compile(PATTERN)


@dataclass(frozen=True)
class Run:
    """A run; ``str()`` of it is its name.

    Attributes:
        system: 'real', 'base', 'suti', or a name of ``suti.baselines.systems``.
        lam: of SuTI alone: lambda of the filter as the configuration writes it, 'none', '0.02' or 'q0.4', or a control.
        demonstrations: of SuTI alone: pictures of the subject at inference, k.
    """

    system: str
    lam: str | None = None
    demonstrations: int | None = None

    def __post_init__(self) -> None:
        form = _SUTI if self.system == SUTI else _PLAIN
        if not form.fullmatch(str(self)) or (self.lam is None) != (self.demonstrations is None):
            raise ValueError(f"run {str(self)!r}: expected a system's name, or suti-LAMBDA-kN, e.g. suti-q0.4-k4")

    def __str__(self) -> str:
        return self.system if self.lam is None else TEMPLATE.format(lam=self.lam, k=self.demonstrations)

    @classmethod
    def suti(cls, lam: str, demonstrations: int) -> Run:
        """SuTI at a lambda with a number of demonstrations."""
        return cls(SUTI, lam, demonstrations)

    @classmethod
    def parse(cls, name: str) -> Run:
        """The run of a name.

        Raises:
            ValueError: no name of a run.
        """
        match = _SUTI.fullmatch(name)
        return cls.suti(match[1], int(match[2])) if match else cls(name)

    @property
    def is_control(self) -> bool:
        """Whether SuTI drew it, trained on a control and not on what a lambda left."""
        return self.lam in CONTROLS

    @property
    def is_suti(self) -> bool:
        """Whether SuTI drew it, at whatever lambda."""
        return self.system == SUTI

    def at(self, lam: str | None = None, demonstrations: int | None = None) -> Run:
        """This run of SuTI at another lambda, or with another number of demonstrations."""
        return replace(
            self,
            lam=self.lam if lam is None else lam,
            demonstrations=self.demonstrations if demonstrations is None else demonstrations,
        )


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
    return sorted(run.demonstrations for run in runs if run.lam == lam and run.demonstrations is not None)
