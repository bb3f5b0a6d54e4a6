"""The experts' inputs, dealt to shards: each shard's demonstrations, prompts and pictures, and nothing else.

A subject's shard is a stable hash of its id, so a new subject changes the files of one shard only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from suti.seeds import shard_of


@dataclass(frozen=True)
class ShardInputs:
    """One shard's tables: ``demonstrations`` and ``prompts``, as in ``suti.io.tables``; both may be empty."""

    shard: int
    demonstrations: pd.DataFrame
    prompts: pd.DataFrame


def partition(members: pd.DataFrame, texts: pd.DataFrame, prompts: pd.DataFrame, shards: int) -> Iterator[ShardInputs]:
    """Yield the inputs of every shard, 0 to ``shards - 1``.

    Subjects are sorted by id, their demonstrations by place in the cluster, their prompts as the prompts'
    table has them. Whether a subject comes from one part or another makes no difference.

    Args:
        members: table ``members`` of one part or of several.
        texts: table ``texts`` of the same.
        prompts: table ``prompts`` of the same.
        shards: how many to deal to.

    Raises:
        ValueError: a member without its text, or a subject without prompts.
    """
    merged = members.merge(texts, left_on=["cluster_id", "image_id"], right_on=["subject_id", "image_id"], how="left")
    lost = merged[merged["text"].isna()]
    if len(lost):
        first = lost.iloc[0]
        raise ValueError(
            f"texts: {len(lost)} of {len(members)} demonstrations have no text, e.g. picture "
            f"{first['image_id']} of subject {first['cluster_id']}; delete subjects/ and run again"
        )
    silent = sorted(set(members["cluster_id"]) - set(prompts["subject_id"]))
    if silent:
        count = members["cluster_id"].nunique()
        raise ValueError(
            f"prompts: {len(silent)} of {count} subjects have no prompt, e.g. {silent[0]}; "
            "delete prompts/ and run again"
        )
    merged = merged.sort_values(["cluster_id", "position"], kind="stable")
    prompts = prompts[prompts["subject_id"].isin(set(members["cluster_id"]))]
    prompts = prompts.sort_values("subject_id", kind="stable")
    place = {subject: shard_of(subject, shards) for subject in members["cluster_id"].unique()}
    demonstration_shard = merged["cluster_id"].map(place)
    prompt_shard = prompts["subject_id"].map(place)
    rows = dict(list(merged.groupby(demonstration_shard.to_numpy())))
    lines = dict(list(prompts.groupby(prompt_shard.to_numpy())))
    for shard in range(shards):
        mine = rows.get(shard, merged.iloc[:0])
        yield ShardInputs(shard, mine[["subject_id", "image_id", "text"]].reset_index(drop=True),
                          lines.get(shard, prompts.iloc[:0]).reset_index(drop=True))  # fmt: skip
