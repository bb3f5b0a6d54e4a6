"""Settings of Imagic."""

from __future__ import annotations

from pydantic import Field

from suti.config.fields import Fraction, Natural, Positive, Section


class ImagicSettings(Section):
    """Imagic (docs/baselines.md)."""

    embedding_steps: Natural = Field(12, description="Adam steps on the text embedding of a picture (paper: 100 with Imagen, 1000 with Stable Diffusion)")
    embedding_learning_rate: float = Field(5e-2, gt=0, description="their rate (paper: 1e-3)")
    steps: Positive = Field(14, description="steps that fine-tune the UNet to a picture (paper: 1500)")
    learning_rate: float = Field(2e-4, gt=0, description="their Adafactor rate")
    batch_size: Positive = Field(4, description="draws of noise and timestep a step, of both kinds")
    eta: Fraction = Field(0.8, description="share of the prompt's own embedding in what is drawn (paper: 0.6 to 0.8)")
