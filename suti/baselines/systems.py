"""The systems that SuTI is compared with: what each is called, starts from and reads.

The workflow makes its rules of this list, so nothing heavy is imported here. A system ``NAME`` of method ``M`` (NAME
with underscores unless said otherwise) has a module ``suti.baselines.M`` with these functions:

``M_settings(s) -> settings``
    A frozen dataclass from the settings that the rule passed (``suti.cli.arguments.Settings``): those named in
    ``System.settings``. It has a field or property ``steps``, the optimiser steps a subject (0 if there are none).
``draw_M(base, subject, settings, sampling, compute, seed) -> Drawn``
    Draws all prompts of a benchmark subject. The base is left exactly as it was. Draws are keyed by the seed, the
    system and the subject; noise of the pictures as in ``suti.generation.draw.draw_subject``.
``load_M(folder) -> BaseModel``
    Of systems that do not start from the base: the model in ``folder``, frozen.

``Drawn.optimisation_seconds`` is what is done once a subject. A method that trains for every prompt counts that as
drawing: in ``first_seconds`` what the first prompt takes, in ``sampling_seconds`` what all prompts take.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal


@dataclass(frozen=True)
class System:
    """One system of the tables.

    Attributes:
        name: of its run: file names below generations and metrics.
        title: in tables and sheets.
        settings: dotted names that ``M_settings`` and ``draw_M`` read, beside seed, compute and sampling; a change of
            these reruns this system and no other.
        starts_from: the base; the apprentice at the default lambda; or a model of its own that a rule trains into
            RESULTS/baselines/NAME.
        trains_per_prompt: true for methods that train anew for every prompt; they draw at most
            ``evaluation.trained_prompts_per_subject`` prompts a subject.
        module, method: where its functions are, if not where the name says.
    """

    name: str
    title: str
    settings: tuple[str, ...]
    starts_from: Literal["base", "apprentice", "trained"] = "base"
    trains_per_prompt: bool = False
    module: str = ""
    method: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", self.method or self.name.replace("-", "_"))
        object.__setattr__(self, "module", self.module or self.method)

    @property
    def source(self) -> str:
        """Path of its module in the checkout, for the digest of its code."""
        return f"suti/baselines/{self.module}.py"

    def load(self) -> ModuleType:
        """Its module, imported."""
        return import_module(f"suti.baselines.{self.module}")


_DREAMBOOTH = (
    "baselines.dreambooth_steps", "baselines.dreambooth_learning_rate", "baselines.dreambooth_batch_size",
    "baselines.identifier", "baselines.prior_images", "baselines.prior_weight", "experts.frozen",
)  # fmt: skip

_NULL_TEXT = (
    "inference_steps", "inner_steps", "learning_rate", "early_stop", "guidance_scale", "cross_share", "self_share",
)  # fmt: skip
_IMAGIC = ("embedding_steps", "embedding_learning_rate", "steps", "learning_rate", "batch_size", "eta")


def _of(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(f"baselines.{prefix}_{name}" for name in names)


SYSTEMS = {
    system.name: system
    for system in (
        System(
            "textual-inversion", "Textual Inversion",
            tuple(
                f"baselines.textual_inversion_{name}" for name in ("steps", "learning_rate", "batch_size", "vectors")
            ),
        ),
        System("null-text", "Null-Text Inversion", _of("null_text", *_NULL_TEXT)),
        System(
            "imagic", "Imagic", (*_of("imagic", *_IMAGIC), "experts.frozen"), trains_per_prompt=True,
        ),
        System("dreambooth", "DreamBooth", (*_DREAMBOOTH, "baselines.prior_preservation")),
        System("dreambooth-prior", "DreamBooth, prior preservation", _DREAMBOOTH, module="dreambooth"),
        System(
            "instruct-pix2pix", "InstructPix2Pix",
            _of("instruct_pix2pix", "guidance_scale", "image_guidance_scale"), starts_from="trained",
        ),
        System("re-imagen", "Re-Imagen", ("evaluation.demonstrations",), starts_from="trained"),
        System(
            "dream-suti", "Dream-SuTI",
            ("baselines.dream_suti_steps", "baselines.dream_suti_learning_rate", "experts.frozen"),
            starts_from="apprentice",
        ),
    )
}  # fmt: skip
