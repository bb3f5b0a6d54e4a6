"""How models taught without experts draw, Re-Imagen and clusters: as SuTI does, from the demonstrations alone."""

from __future__ import annotations

from dataclasses import dataclass

from suti.config.schema import Compute
from suti.diffusion.settings import Sampling
from suti.generation.draw import BenchmarkSubject, Drawn, draw_suti
from suti.models.base import BaseModel
from suti.models.pipeline import SuTIPipeline


@dataclass(frozen=True)
class WithoutExperts:
    """Settings of the drawing.

    Attributes:
        demonstrations: pictures of a subject at inference.
        steps: optimiser steps a subject.
    """

    demonstrations: int
    steps: int = 0


def draw_without_experts(
    base: BaseModel,
    subject: BenchmarkSubject,
    settings: WithoutExperts,
    sampling: Sampling,
    compute: Compute,
    seed: int,
) -> Drawn:
    """Encode the demonstrations once and draw. Nothing is kept of a subject.

    Args:
        base: its ``unet`` is an apprentice.
    """
    return draw_suti(SuTIPipeline.of(base), subject, settings.demonstrations, sampling, compute, seed)
