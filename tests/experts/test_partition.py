"""Dealing the experts' inputs to shards: the order within a subject, and what is refused."""

from __future__ import annotations

import pandas as pd
import pytest

from suti.experts.partition import partition
from suti.seeds import shard_of

SUBJECTS = {"dog": 3, "cat": 12, "cup": 1}  # subject -> demonstrations


def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Members, texts and prompts. Pictures' ids run against their positions, and rows come in another order still."""
    members = pd.DataFrame(
        [(s, f"{s}{n - i:02d}", i) for s, n in SUBJECTS.items() for i in range(n)],
        columns=["cluster_id", "image_id", "position"],
    )
    texts = members.rename(columns={"cluster_id": "subject_id"})[["subject_id", "image_id"]]
    texts = texts.assign(text="a " + texts["image_id"])
    prompts = pd.DataFrame(
        [(s, f"p{i}") for i in (2, 0, 1) for s in SUBJECTS], columns=["subject_id", "prompt_id"]
    ).assign(prompt="a prompt")
    return members.sample(frac=1, random_state=0), texts.sample(frac=1, random_state=1), prompts


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_demonstrations_stand_as_in_the_cluster(shards):
    seen = []
    for inputs in partition(*tables(), shards):
        shown = inputs.demonstrations
        for subject, rows in shown.groupby("subject_id", sort=False):
            assert shard_of(subject, shards) == inputs.shard
            count = SUBJECTS[subject]
            assert list(rows["image_id"]) == [f"{subject}{count - i:02d}" for i in range(count)]
            assert list(rows["text"]) == [f"a {image}" for image in rows["image_id"]]
        assert list(shown["subject_id"].unique()) == sorted(shown["subject_id"].unique())
        assert list(inputs.prompts["subject_id"]) == sorted(inputs.prompts["subject_id"])
        for _, rows in inputs.prompts.groupby("subject_id"):
            assert list(rows["prompt_id"]) == ["p2", "p0", "p1"]  # as the prompts' table has them
        seen += list(shown["subject_id"].unique())
    assert sorted(seen) == sorted(SUBJECTS)


def test_a_member_without_text_and_a_subject_without_prompts_are_refused():
    members, texts, prompts = tables()
    with pytest.raises(ValueError, match=r"texts: 1 of 16 demonstrations have no text, e\.g\. picture cup01 of"):
        next(partition(members, texts[texts["image_id"] != "cup01"], prompts, 2))
    with pytest.raises(ValueError, match=r"prompts: 1 of 3 subjects have no prompt, e\.g\. dog"):
        next(partition(members, texts, prompts[prompts["subject_id"] != "dog"], 2))
