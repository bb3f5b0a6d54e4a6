"""DVC and Snakemake agree: after one, the other has nothing to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow


def commit(checkout) -> None:
    """Make a repository of the checkout and commit all of it."""
    if not (checkout.path / ".git").exists():
        checkout.call("git", "init", "--quiet", "--initial-branch", "main")
        checkout.call("git", "config", "user.name", "Test")
        checkout.call("git", "config", "user.email", "test@example.org")
    checkout.call("git", "add", "--all")
    checkout.call("git", "commit", "--quiet", "--message", "state")


def test_dvc_and_snakemake_agree(workflow, tmp_path: Path) -> None:
    commit(workflow)
    # After snakemake, dvc repro records what is there; no stage makes anything.
    output = workflow.call("dvc", "repro")
    assert output.count("Nothing to be done") == output.count("Running stage") > 5
    assert "up to date" in workflow.call("dvc", "status")
    # And the reverse.
    assert workflow.planned() == {}
    commit(workflow)

    # A clone that pulls has nothing to do, for either.
    remote, clone = tmp_path / "remote", tmp_path / "clone"
    workflow.call("dvc", "remote", "add", "--local", "--default", "store", str(remote))
    workflow.call("dvc", "push")
    workflow.call("git", "clone", "--quiet", ".", str(clone))
    there = type(workflow)(clone)
    there.call("dvc", "remote", "add", "--local", "--default", "store", str(remote))
    there.call("dvc", "pull")
    assert "up to date" in there.call("dvc", "status")
    assert there.planned() == {}
    shutil.rmtree(clone)

    # An experiment with another grid makes the new lambda alone.
    before = {p: p.read_bytes() for p in (workflow.path / "results" / "apprentice").rglob("*.safetensors")}
    output = workflow.call("dvc", "exp", "run", "--set-param", "config.yaml:filtering.grid=[none,q0.4,q0.6]")
    assert "Running stage 'filtered@q0.6'" in output and output.count("train_apprentice ") == 1
    assert "Stage 'filtered@none' didn't change, skipping" in output and "train_experts " not in output
    assert all(path.read_bytes() == data for path, data in before.items())
    assert workflow.planned() == {}

    # Metrics are summaries without errors, and the page of plots asks no other server.
    shown = json.loads(workflow.call("dvc", "metrics", "show", "--json"))[""]["data"]
    runs = ("real", "base", "dreambooth", "dream-suti", "suti-none-k2")
    assert set(shown) == {f"results/metrics/{run}.json" for run in runs}
    assert all("mean" in file["data"]["metrics"]["dino"] for file in shown.values())
    workflow.call("dvc", "plots", "show", "--out", "plots")
    page = (workflow.path / "plots" / "index.html").read_text()
    assert "lambda_curve.png" in page and 'src="http' not in page and 'href="http' not in page
