"""The workflow as a plan: its style, and the size of the paper's graph."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.workflow

CHAPTERS = (
    "mining", "captions", "prompts", "experts", "filtered", "apprentice", "evaluation", "figures", "claims",
)  # fmt: skip
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
    (checkout.path / "data/dreambooth/dataset/dog").mkdir(parents=True)  # the plan asks that it is there
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


def test_what_is_not_there_is_named_before_a_job_starts(fresh: Callable) -> None:
    checkout = fresh("absent")
    checkout.configure({"models": {"base": "resources/models/bsae"}, "mining": {"encoder": "clip"}})
    output = checkout.refused()
    assert "models.base: 'resources/models/bsae': no such folder; did you mean resources/models/base?" in output
    assert "mining.encoder: 'clip': no encoder of a known form; write open_clip:MODEL/PRETRAINED" in output
    shutil.rmtree(checkout.path / "resources" / "models")
    checkout.configure({"models": {"base": "resources/models/base"}, "mining": {"encoder": "transformers:a/b"}})
    assert "or train the small models with `make models`" in checkout.refused()
    assert checkout.planned("models")["train_base"] == 1


def test_docs_name_every_rule_that_runs_code(fresh: Callable) -> None:
    checkout = fresh("rules")
    page = re.findall(r"^Rules: (.*)$", (checkout.path / "docs" / "code.md").read_text(), re.MULTILINE)
    named = {rule for line in page for rule in line.split(", ")}
    rules = set(checkout.call("snakemake", "--list-rules").split())
    targets = {"all", *CHAPTERS, "train_models"}
    assert named - {"list_urls"} == rules - targets  # the rule of downloads is there where a path holds {part}


def test_typo_in_the_configuration_is_named_with_its_remedy(fresh: Callable) -> None:
    checkout = fresh("typo")
    checkout.configure({"experts": {"stepz": 3}})
    output = checkout.refused()
    assert "config.yaml" in output and "experts.stepz: unknown; did you mean experts.steps" in output
    assert not (checkout.path / "results").exists()
