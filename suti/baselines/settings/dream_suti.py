"""Settings of Dream-SuTI."""

from __future__ import annotations

from pydantic import Field

from suti.config.fields import Positive, Section


class DreamSuTISettings(Section):
    """Dream-SuTI (docs/baselines.md)."""

    steps: Positive = Field(20, description="optimiser steps (paper: 500)")
    learning_rate: float = Field(5e-5, gt=0, description="Adafactor rate")
