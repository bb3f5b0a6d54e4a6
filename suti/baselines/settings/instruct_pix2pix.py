"""Settings of InstructPix2Pix."""

from __future__ import annotations

from pydantic import Field

from suti.config.fields import Positive, Section


class InstructPix2PixSettings(Section):
    """InstructPix2Pix (docs/baselines.md)."""

    edits: Positive = Field(240, description="pairs of captions that training pictures are drawn for (paper: 454,445)")
    draws: Positive = Field(2, description="pairs of pictures drawn of each (paper: 100)")
    keep: Positive = Field(2, description="most of these that are trained on, the best by direction (paper: 4)")
    min_image: float = Field(0.45, ge=-1, le=1, description="least CLIP cosine of a pair's pictures; belongs to filtering.encoder, as the next two (paper: 0.75)")
    min_text: float = Field(0.4, ge=-1, le=1, description="least CLIP cosine of each picture and its caption (paper: 0.2)")
    min_direction: float = Field(0.4, ge=-1, le=1, description="least CLIP cosine of the change of the pictures and the change of the captions (paper: 0.2)")
    steps: Positive = Field(300, description="optimiser steps of its one training (paper: 10,000)")
    batch_size: Positive = Field(16, description="pairs a step (paper: 1024)")
    learning_rate: float = Field(1e-3, gt=0, description="peak rate of AdamW (paper: 1e-4)")
    drop: float = Field(0.05, ge=0, le=1 / 3, description="probability of dropping the instruction, the picture, or both, each so much")
    guidance_scale: float = Field(2.0, ge=0, description="guidance weight of the instruction (paper: 7.5)")
    image_guidance_scale: float = Field(2.5, ge=0, description="guidance weight of the picture (paper: 1.5)")
