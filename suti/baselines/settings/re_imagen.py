"""Settings of Re-Imagen."""

from __future__ import annotations

from pydantic import Field

from suti.config.fields import Positive, Section


class ReImagenSettings(Section):
    """Re-Imagen (docs/baselines.md)."""

    steps: Positive | None = Field(None, description="steps of its training, that of the apprentice's network on pictures of the clusters with their nearest pictures of other pages; null: as many as apprentice.steps. All else is as for the apprentice")
