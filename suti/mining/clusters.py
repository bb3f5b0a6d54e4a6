"""Clusters of pictures of one subject: pages whose mean pairwise image similarity lies in a band (section 4).

A page with pictures of many things is too different, one with the same shot again and again too similar; the
paper keeps [0.82, 0.98] of CLIP ViT-L/14 and drops 81.1 % of the clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd
from tqdm import tqdm

from suti.config.schema import Mining
from suti.seeds import stable_hash

STATUSES = ("kept", "too_few", "too_different", "too_similar")


class Encoder(Protocol):
    """What mining needs of an image encoder, see ``suti.models.encoders``."""

    def embed(self, images: list[np.ndarray], batch_size: int = 64) -> np.ndarray:
        """float32 ``(N, D)`` of N uint8 pictures."""
        ...


def cluster_id(page_url: str) -> str:
    """Key of a page's cluster, the subject_id of every later stage: 16 hexadecimal digits."""
    return f"{stable_hash('cluster', page_url):016x}"


def mean_pairwise_similarity(embeddings: np.ndarray) -> float:
    """Mean cosine over all pairs i < j of the rows of ``embeddings`` (n, D), in [-1, 1]; NaN for n < 2.

    With unit rows e_i the sum over pairs is (|sum e_i|^2 - n) / 2, so no n x n matrix is needed.

    Raises:
        ValueError: a row is zero or not finite, so it has no direction.
    """
    rows = np.asarray(embeddings, np.float64)
    n = len(rows)
    if n < 2:
        return float("nan")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise ValueError("embeddings: a row is zero or not finite; the image encoder is broken (mining.encoder)")
    total = (rows / lengths).sum(axis=0)
    return float(np.clip((total @ total - n) / (n * (n - 1)), -1.0, 1.0))


def status_of(images: int, similarity: float, settings: Mining) -> str:
    """'kept', 'too_few', 'too_different' or 'too_similar'; both edges of the band are kept."""
    low, high = settings.similarity
    if images < settings.min_images:
        return "too_few"
    if images >= 2 and similarity < low:
        return "too_different"
    if images >= 2 and similarity > high:
        return "too_similar"
    return "kept"


def mine(
    pages: pd.DataFrame, picture: Callable[[str], np.ndarray], encoder: Encoder, settings: Mining
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the tables ``clusters`` (every page) and ``members`` (pictures of the kept ones).

    Each page is embedded by itself: a batch shared between pages would let the last digits of a similarity,
    and so the tables' bytes, depend on which pages meet in it.

    Args:
        pages: table ``pages``; pictures whose status is not 'ok' count for nothing.
        picture: image_id -> uint8 ``(H, W, 3)``.
        encoder: image tower, e.g. of CLIP.
        settings: the section ``mining``.

    Returns:
        (clusters, members), sorted by cluster_id, members also by their place on the page. A cluster has its
        first ``max_images`` pictures as members; its similarity is that of all its usable pictures.
    """
    clusters: list[dict[str, Any]] = []
    members: list[dict[str, Any]] = []
    groups = pages.groupby("page_url", sort=True)
    for page_url, group in tqdm(groups, total=groups.ngroups, desc="clusters", unit="page", mininterval=5):
        usable = group[group["status"] == "ok"].sort_values("position")
        similarity, known = float("nan"), len(usable) >= 2
        if known:
            images = [picture(key) for key in usable["image_id"]]
            similarity = mean_pairwise_similarity(encoder.embed(images, batch_size=settings.batch_size))
        status = status_of(len(usable), similarity, settings)
        name = cluster_id(str(page_url))
        clusters.append({"cluster_id": name, "page_url": page_url, "images": len(usable),
                         "similarity": similarity if known else None, "status": status})  # fmt: skip
        if status == "kept":
            chosen = usable.head(settings.max_images)
            for place, row in enumerate(chosen.itertuples()):
                alt_text = row.alt_text if isinstance(row.alt_text, str) else None  # pandas has NaN for null
                members.append({"cluster_id": name, "image_id": row.image_id, "position": place, "alt_text": alt_text})
    clusters.sort(key=lambda row: row["cluster_id"])
    members.sort(key=lambda row: (row["cluster_id"], row["position"]))
    return clusters, members
