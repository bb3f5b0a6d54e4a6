"""Re-Imagen (arXiv 2209.14491) as SuTI's paper compares with it: taught by retrieved neighbours, not by experts.

A picture of a cluster and its refined caption are a target; its demonstrations are the nearest pictures of other pages
by CLIP, each with its own text (``suti.baselines.neighbours``, ``scripts/train_apprentice.py --training-set
neighbours``). It is given a subject's demonstrations as SuTI is, and draws without any optimisation.

Our choice: the network, its initialisation and its settings are the apprentice's, so that the two differ in what they
learnt from and in nothing else. The original has another UNet, two neighbours, and weighs text and neighbours in turn.
"""

from __future__ import annotations

from suti.baselines.method import Method
from suti.baselines.without_experts import WithoutExperts, draw_without_experts
from suti.models.pipeline import load_apprentice

METHODS = {"re-imagen": Method(WithoutExperts, draw_without_experts, load_apprentice)}
