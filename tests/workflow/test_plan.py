"""The workflow as a plan: its style, and the size of the paper's graph."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.workflow

MEASURED = """
import json, resource, sys
from snakemake.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    status = end.code
use = resource.getrusage(resource.RUSAGE_SELF)
seconds = use.ru_utime + use.ru_stime
print(json.dumps({"status": status or 0, "seconds": seconds, "megabytes": use.ru_maxrss / 1024}))
"""


def test_paper_plans_in_two_gigabytes(fresh: Callable) -> None:
    """2M pairs in 5,000 shards. docs/workflow.md has the seconds; a busy machine shall not fail the test."""
    checkout = fresh("paper")
    options = ("--workflow-profile", "profiles/default", "--dry-run", "--quiet", "host")
    overlays = ("--configfile", "config.yaml", "configs/paper.yaml")
    done = checkout.call(sys.executable, "-c", MEASURED, *options, *overlays)
    used = json.loads(done.splitlines()[-1])
    print(used)
    assert used["status"] == 0, done[-3000:]
    assert re.search(r"^train_experts +5000$", done, re.MULTILINE)
    assert used["megabytes"] < 2000, used


def test_lint_finds_nothing(fresh: Callable) -> None:
    checkout = fresh("lint")
    assert "Congratulations" in checkout.call("snakemake", "--lint")


def test_formatted(fresh: Callable) -> None:
    checkout = fresh("format")
    checkout.call("snakefmt", "--check", "Snakefile", "rules")


def test_typo_in_the_configuration_is_named_with_its_remedy(fresh: Callable) -> None:
    checkout = fresh("typo")
    checkout.configure({"experts": {"stepz": 3}})
    output = checkout.snakemake("-n", check=False)
    assert "config.yaml" in output and "experts.stepz: unknown; did you mean experts.steps" in output
    assert "Traceback" not in output and not (checkout.path / "results").exists()
