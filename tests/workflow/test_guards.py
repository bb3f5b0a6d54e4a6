"""Locks of killed runs are freed, results without records refused; the remedies that messages name work."""

from __future__ import annotations

import fcntl
import shutil

import pytest

pytestmark = pytest.mark.workflow


def test_lock_of_a_living_run_holds_and_of_a_killed_one_is_freed(workflow) -> None:
    locks = workflow.path / ".snakemake" / "locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text("results/tables/table1.csv\n")
    with open(workflow.path / ".snakemake" / "suti.lock", "w") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        assert "Directory cannot be locked" in workflow.snakemake(check=False)
    assert "Nothing to be done" in workflow.snakemake()
    assert not locks.exists()


def test_a_mistyped_path_is_refused_although_there_are_results(workflow) -> None:
    photos = workflow.path / "data" / "photos" / "dog"
    photos.mkdir(parents=True)
    (photos / "1.jpg").touch()
    workflow.configure({"pages": {"format": "folders", "path": ["data/photo"]}})
    output = workflow.refused()
    assert "pages.path: 'data/photo': no such file or folder; did you mean data/photos?" in output
    workflow.configure({"pages": {"path": ["data/photos"]}})
    assert "ingest_pages" in workflow.planned()


def test_results_without_records_are_refused_until_touched(workflow) -> None:
    shutil.rmtree(workflow.path / ".snakemake")
    output = workflow.snakemake("-n", check=False)
    assert "no record of how it was made" in output and "snakemake --touch --forceall" in output
    assert "results/apprentice/none/unet" in output and "Traceback" not in output
    workflow.snakemake("--touch", "--forceall")
    assert workflow.planned() == {}
    workflow.configure({"apprentice": {"learning_rate": 0.5}})
    assert workflow.planned()["train_apprentice"] == 3
