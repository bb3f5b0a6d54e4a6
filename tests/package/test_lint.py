"""What `make lint` checks, less Snakemake's own linter, which runs the workflow's plan."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("ruff", "check ."),
        ("ruff", "format --check ."),
        ("snakefmt", "--check Snakefile rules"),
        ("suti.cli.main", "config --check"),
        ("mypy", ""),
    ],
)
def test_style_types_and_generated_files_are_in_order(tool, words):
    if find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed; `make setup` brings it")
    done = subprocess.run([sys.executable, "-m", tool, *words.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_make_uses_all_cores_whatever_the_threads_of_a_process() -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "run"], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert f"--cores {len(os.sched_getaffinity(0))} " in shown.stdout
