"""A caption for every picture of every kept cluster (section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd
from tqdm import tqdm


class Captions(Protocol):
    """What this stage needs of a captioner (``models.captioner.Captioner``)."""

    def caption(self, images: list[np.ndarray], max_new_tokens: int = 24) -> list[str]:
        """Captions of uint8 ``(H, W, 3)`` pictures."""
        ...


def caption_clusters(
    members: pd.DataFrame,
    images: Mapping[str, np.ndarray],
    captioner: Captions,
    batch_size: int,
    max_new_tokens: int,
) -> pd.DataFrame:
    """Table ``captions`` of a ``members`` table.

    Batches never cross a cluster's border, so a row depends on its cluster alone, not on the part that it is
    in; decoding is greedy. Rows are in order of cluster and position.

    Args:
        images: uint8 ``(H, W, 3)`` by image id.
        batch_size: pictures a forward pass, at most.

    Raises:
        ValueError: a member has no picture (the shard belongs to other pages).
    """
    missing = [key for key in members["image_id"] if key not in images]
    if missing:
        raise ValueError(
            f"members: picture {missing[0]!r} and {len(missing) - 1} others are not in the image shard; "
            "give the shard of the same part"
        )
    rows: list[dict[str, object]] = []
    ordered = members.sort_values(["cluster_id", "position"], kind="stable")
    for cluster_id, cluster in tqdm(list(ordered.groupby("cluster_id", sort=True)), desc="captions", mininterval=5):
        keys = list(cluster["image_id"])
        texts: list[str] = []
        for start in range(0, len(keys), batch_size):
            batch = [images[key] for key in keys[start : start + batch_size]]
            texts += captioner.caption(batch, max_new_tokens=max_new_tokens)
        for key, alt_text, text in zip(keys, cluster["alt_text"], texts, strict=True):
            alt = None if pd.isna(alt_text) else str(alt_text)
            rows.append({"cluster_id": cluster_id, "image_id": key, "alt_text": alt, "caption": text})
    return pd.DataFrame(rows, columns=["cluster_id", "image_id", "alt_text", "caption"])
