"""Settings of Null-Text Inversion."""

from __future__ import annotations

from pydantic import Field

from suti.config.fields import Fraction, Natural, Positive, Section


class NullTextSettings(Section):
    """Null-Text Inversion (docs/baselines.md)."""

    num_inference_steps: Positive = Field(16, description="DDIM steps of inversion and edit (paper: 50)")
    inner_steps: Natural = Field(3, description="most optimiser steps on the null embedding of one DDIM step (paper: 10); 0 is plain DDIM inversion")
    learning_rate: float = Field(2e-2, gt=0, description="Adam's rate at the noisiest step; it falls to half")
    early_stop: float = Field(1e-5, ge=0, description="squared error at which a step's tuning ends; it grows by twice this value a step")
    guidance_scale: float = Field(2.0, ge=0, description="guidance weight of tuning and edit (paper: 7.5)")
    cross_share: Fraction = Field(0.8, description="share of the steps at which Prompt-to-Prompt replaces cross-attention maps")
    self_share: Fraction = Field(0.4, description="the same of self-attention maps")
