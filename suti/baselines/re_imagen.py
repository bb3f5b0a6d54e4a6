"""Re-Imagen (arXiv 2209.14491) as SuTI's paper compares with it: taught by retrieved neighbours, not by experts.

A picture of a cluster and its refined caption are a target; its demonstrations are the nearest pictures of other pages
by CLIP, each with its own text (``suti.baselines.neighbours``, ``scripts/train_apprentice.py --training-set
neighbours``). It is given a subject's demonstrations as SuTI is, and draws without any optimisation.

Our choice: the network, its initialisation and its settings are the apprentice's, so that the two differ in what they
learnt from and in nothing else. The original has another UNet, two neighbours, and weighs text and neighbours in turn.
"""

from __future__ import annotations

from dataclasses import dataclass

from suti.baselines.method import Method
from suti.config.schema import Compute
from suti.diffusion.settings import Sampling
from suti.generation.draw import BenchmarkSubject, Drawn, draw_suti
from suti.models.base import BaseModel
from suti.models.pipeline import SuTIPipeline, load_apprentice


@dataclass(frozen=True)
class ReImagen:
    """How Re-Imagen draws, and ``suti.baselines.clusters`` too.

    Attributes:
        demonstrations: pictures of a subject at inference.
        steps: optimiser steps a subject.
    """

    demonstrations: int
    steps: int = 0


def draw_re_imagen(
    base: BaseModel, subject: BenchmarkSubject, settings: ReImagen, sampling: Sampling, compute: Compute, seed: int
) -> Drawn:
    """Encode the demonstrations once and draw. Nothing is kept of a subject.

    Args:
        base: its ``unet`` is an apprentice.
    """
    return draw_suti(SuTIPipeline.of(base), subject, settings.demonstrations, sampling, compute, seed)


METHODS = {"re-imagen": Method(ReImagen, draw_re_imagen, load_apprentice)}
