"""Settings of DreamBooth, with prior preservation or without."""

from __future__ import annotations

from pydantic import Field

from suti.config.fields import Positive, Section


class DreamBoothSettings(Section):
    """DreamBooth, with prior preservation or without (docs/baselines.md)."""

    steps: Positive = Field(30, description="optimiser steps")
    learning_rate: float = Field(2e-4, gt=0, description="Adafactor rate")
    batch_size: Positive = Field(4, description="images a step")
    identifier: str = Field("sks", min_length=1, description="rare token, put before the class word")
    prior_preservation: bool = Field(False, description="prior preservation in `dreambooth` too; `dreambooth-prior` always has it: a loss on pictures of the class drawn by the base")
    prior_images: Positive = Field(16, description="class pictures for prior preservation")
    prior_weight: float = Field(0.3, ge=0, description="weight of the prior preservation loss (its paper: 1, at which few steps hardly learn the subject here)")
