"""The systems that SuTI is compared with: what each is called, starts from and reads.

The configuration and the workflow's rules are made of this list, so nothing heavy is imported here. A new system is a
line here, its settings in ``suti.baselines.settings``, and its method in a module of ``suti.baselines``
(``suti.baselines.method`` says what that holds).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from suti.baselines.settings.clusters import ClustersSettings
from suti.baselines.settings.dream_suti import DreamSuTISettings
from suti.baselines.settings.dreambooth import DreamBoothSettings
from suti.baselines.settings.imagic import ImagicSettings
from suti.baselines.settings.instruct_pix2pix import InstructPix2PixSettings
from suti.baselines.settings.null_text import NullTextSettings
from suti.baselines.settings.re_imagen import ReImagenSettings
from suti.baselines.settings.textual_inversion import TextualInversionSettings
from suti.config.fields import Section


@dataclass(frozen=True)
class System:
    """One system of the tables.

    Attributes:
        name: of its run: file names below generations and metrics.
        title: in tables and sheets.
        settings: its section of the configuration.
        section: key of that section below ``baselines``, and name of its module; by default the system's name.
        draws_with: the settings of its section by which it draws; None: all of them.
        also: dotted names of settings outside its section by which it draws.
        starts_from: the base; the apprentice at the default lambda; or a model of its own that a rule trains into
            RESULTS/baselines/NAME.
        trains_per_prompt: true for methods that train anew for every prompt; they draw at most
            ``evaluation.trained_prompts_per_subject`` prompts a subject.
    """

    name: str
    title: str
    settings: type[Section]
    section: str = ""
    draws_with: tuple[str, ...] | None = None
    also: tuple[str, ...] = ()
    starts_from: Literal["base", "apprentice", "trained"] = "base"
    trains_per_prompt: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "section", self.section or self.name.replace("-", "_"))
        if self.draws_with is None:
            object.__setattr__(self, "draws_with", tuple(self.settings.model_fields))

    @property
    def reads(self) -> tuple[str, ...]:
        """Dotted names of the settings by which it draws, beside seed, compute and sampling.

        A change of one of these draws this system again and no other.
        """
        return (*(f"baselines.{self.section}.{name}" for name in self.draws_with or ()), *self.also)

    @property
    def module(self) -> str:
        """Dotted name of the module of its method."""
        return f"suti.baselines.{self.section}"

    @property
    def source(self) -> str:
        """Path of that module in the checkout, for the digest of its code."""
        return f"{self.module.replace('.', '/')}.py"


_FROZEN = ("experts.frozen",)
_WITH_PRIOR = tuple(name for name in DreamBoothSettings.model_fields if name != "prior_preservation")

SYSTEMS = {
    system.name: system
    for system in (
        System("textual-inversion", "Textual Inversion", TextualInversionSettings),
        System("null-text", "Null-Text Inversion", NullTextSettings),
        System("imagic", "Imagic", ImagicSettings, also=_FROZEN, trains_per_prompt=True),
        System("dreambooth", "DreamBooth", DreamBoothSettings, also=_FROZEN),
        System(
            "dreambooth-prior", "DreamBooth, prior preservation", DreamBoothSettings, section="dreambooth",
            draws_with=_WITH_PRIOR, also=_FROZEN,
        ),
        System(
            "instruct-pix2pix", "InstructPix2Pix", InstructPix2PixSettings,
            draws_with=("guidance_scale", "image_guidance_scale"), starts_from="trained",
        ),
        System(
            "re-imagen", "Re-Imagen", ReImagenSettings, draws_with=(), also=("evaluation.demonstrations",),
            starts_from="trained",
        ),
        System(
            "clusters", "Clusters (SuTI without experts)", ClustersSettings, draws_with=(),
            also=("evaluation.demonstrations",), starts_from="trained",
        ),
        System("dream-suti", "Dream-SuTI", DreamSuTISettings, also=_FROZEN, starts_from="apprentice"),
    )
}  # fmt: skip


def sections() -> dict[str, type[Section]]:
    """The systems' sections of the configuration by their keys below ``baselines``, in the order of the systems."""
    return {system.section: system.settings for system in SYSTEMS.values()}
