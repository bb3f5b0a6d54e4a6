"""Settings of Clusters, which is SuTI without experts."""

from __future__ import annotations

from pydantic import Field

from suti.config.fields import Positive, Section


class ClustersSettings(Section):
    """Clusters, which is SuTI without experts (docs/baselines.md)."""

    steps: Positive | None = Field(None, description="steps of its training, that of the apprentice's network on the clusters' own pictures; null: as many as apprentice.steps. All else is as for the apprentice")
