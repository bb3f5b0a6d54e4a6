"""`make models`: every small model trains by its rule and takes the place of the shipped one."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.workflow
NAMES = ("clip", "captioner", "dino", "probe", "super_resolution")


def test_models_are_trained_and_shipped(fresh: Callable, warm: None) -> None:
    checkout = fresh("models")
    checkout.configure({"train_models": {"base_steps": 2, "vae_steps": 2, "base_batch_size": 2, "compile": False}})
    checkout.configure({"train_models": {f"{name}_steps": 2 for name in NAMES}})
    checkout.snakemake("models")
    for name in NAMES:
        record = json.loads((checkout.path / "resources" / "models" / name / "provenance.json").read_text())
        assert record["settings"]["steps"] == 2, name
    base = json.loads((checkout.path / "resources" / "models" / "base" / "provenance.json").read_text())
    assert base["images"] == 4
    # The new models are what the workflow now reads: what they made is out of date, and the plan stands.
    assert {"mine_clusters", "train_experts"} <= set(checkout.planned())
    assert checkout.planned("models") == {}
