"""Results without records are refused, and the remedies that the message names work."""

from __future__ import annotations

import shutil

import pytest

pytestmark = pytest.mark.workflow


def test_results_without_records_are_refused_until_touched(workflow) -> None:
    shutil.rmtree(workflow.path / ".snakemake")
    output = workflow.snakemake("-n", check=False)
    assert "no record of how it was made" in output and "snakemake --touch --forceall" in output
    assert "results/apprentice/none/unet" in output and "Traceback" not in output
    workflow.snakemake("--touch", "--forceall")
    assert workflow.planned() == {}
    workflow.configure({"apprentice": {"learning_rate": 0.5}})
    assert workflow.planned()["train_apprentice"] == 2
