"""Clusters, SuTI without experts: the apprentice's network, taught by the clusters' own pictures.

A picture of a cluster and its refined caption are a target, other pictures of the same cluster its demonstrations
(``scripts/train_apprentice.py --training-set clusters``). All else is the apprentice's, so the row shows what the
experts' samples add. It is no system of the paper. It draws as SuTI does.
"""

from __future__ import annotations

from suti.baselines.method import Method
from suti.baselines.without_experts import WithoutExperts, draw_without_experts
from suti.models.pipeline import load_apprentice

METHODS = {"clusters": Method(WithoutExperts, draw_without_experts, load_apprentice)}
