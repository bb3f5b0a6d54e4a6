"""Settings of Textual Inversion."""

from __future__ import annotations

from pydantic import Field

from suti.config.fields import Positive, Section


class TextualInversionSettings(Section):
    """Textual Inversion (docs/baselines.md)."""

    steps: Positive = Field(150, description="AdamW steps (its paper: 5,000)")
    learning_rate: float = Field(1.0, gt=0, description="AdamW rate at the first step, falling linearly to 0; it goes with the size of the text encoder's embeddings, which here have a standard deviation of about 1")
    batch_size: Positive = Field(4, description="images a step")
    vectors: Positive = Field(4, description="embeddings that the new word consists of (its paper: 1)")
