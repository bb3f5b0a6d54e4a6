"""How pictures are drawn: one object, made of settings once, which every function that draws takes as it is.

A new setting of sampling is a field here, one in ``suti.config.schema`` and what the sampler does with it
(``suti.models.drawing``). No torch is imported: the workflow makes its lists of settings from the fields.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Sampling:
    """How pictures are drawn.

    Attributes:
        num_inference_steps: denoising steps.
        guidance_scale: classifier-free guidance of text and demonstrations together, or of the text alone if
            ``demonstration_guidance_scale`` is given; 1 is none.
        dynamic_thresholding: Imagen's, for pixel bases under strong guidance; False clips x_0.
        images_per_prompt: pictures of each prompt.
        demonstration_guidance_scale: guidance of the demonstrations by themselves, at a third pass of the network.
        guidance_stop: share of the schedule, from its noisy end, that is guided; the rest takes one pass a step.
    """

    num_inference_steps: int = 24
    guidance_scale: float = 3.0
    dynamic_thresholding: bool = False
    images_per_prompt: int = 1
    demonstration_guidance_scale: float | None = None
    guidance_stop: float = 1.0

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the fields; a section of settings may have some of them or all."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def of(cls, section: Any) -> Sampling:
        """Sampling of a section of the configuration: what it has no setting for stays as it is by default."""
        return cls(**{name: getattr(section, name) for name in cls.names() if hasattr(section, name)})
