"""Equal seeds give equal tables: with other cores, other shards, and after kill -9."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.workflow

CHAPTERS = [
    "ingest_pages",
    "caption_images",
    "write_prompts",
    "train_experts",
    "train_apprentice",
    "generate",
    "evaluate",
]


def test_killed_in_every_chapter_on_one_core(fresh: Callable, finished) -> None:
    checkout = fresh("killed")
    killed = [rule for rule in CHAPTERS if checkout.kill_in(rule)]
    assert killed == CHAPTERS
    checkout.snakemake(cores=1)
    assert checkout.planned() == {}
    assert list((checkout.path / "results").rglob("*.part")) == []
    same(checkout.tables(), finished.tables())


def test_another_shard_count_gives_equal_tables(workflow, finished) -> None:
    workflow.configure({"experts": {"shards": 3}})
    workflow.snakemake()
    same(workflow.tables(), finished.tables())


def same(ours: dict[str, bytes], wanted: dict[str, bytes]) -> None:
    assert wanted and set(ours) == set(wanted)
    assert [name for name in wanted if ours[name] != wanted[name]] == []
