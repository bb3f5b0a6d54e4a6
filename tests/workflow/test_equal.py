"""Equal seeds give equal tables: with other cores, other shards, and after kill -9."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.workflow

# A target of each chapter, and the file at whose sight its run is killed: the first piece of the work, where
# a job keeps pieces; else the log, which is there before the job computes.
CHAPTERS = {
    "mining": "logs/mine_clusters/0.log",
    "captions": "logs/caption_images/0.log",
    "prompts": "logs/write_prompts/0.log",
    "experts": "experts/cache/*/*.tar",
    "scores": "logs/embed_samples/*.log",
    "filtered": "logs/filter_samples/*.log",
    "apprentice": "apprentice/.checkpoints/*/step-*.safetensors",
    "results/generations/base.tar": "generations/cache/*/*.tar",
    "results/generations/dreambooth.tar": "baselines/cache/*/*.tar",
    "evaluation": "logs/evaluate/*.log",
    "figures": "logs/make_table/*.log",
}


def test_killed_in_every_chapter_on_one_core(fresh: Callable, finished) -> None:
    checkout = fresh("killed")
    killed = [target for target, sign in CHAPTERS.items() if checkout.kill_at(target, sign)]
    assert killed == list(CHAPTERS)
    checkout.snakemake(cores=1)
    assert checkout.planned() == {}
    same(checkout.tables(), finished.tables())


def test_another_shard_count_gives_equal_tables(workflow, finished) -> None:
    workflow.configure({"experts": {"shards": 3}})
    workflow.snakemake()
    same(workflow.tables(), finished.tables())


def same(ours: dict[str, bytes], wanted: dict[str, bytes]) -> None:
    assert wanted and set(ours) == set(wanted)
    assert [name for name in wanted if ours[name] != wanted[name]] == []
