"""What mining kept and why it rejected the rest; against the world's known truth, precision and recall by
page kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from suti.mining.clusters import STATUSES

REMEDIES = {
    "too_few": "lower mining.min_images, or read pages with more usable pictures",
    "too_different": "lower the first number of mining.similarity",
    "too_similar": "raise the second number of mining.similarity",
}


def counts(column: pd.Series) -> dict[str, int]:
    """How often each value occurs, sorted by name."""
    return {str(k): int(v) for k, v in sorted(column.value_counts().items())}


def no_cluster_message(clusters: pd.DataFrame, pictures: pd.Series | None, band: tuple[float, float] | None) -> str:
    """Why nothing was kept, with counts by reason and the remedy of the commonest reason.

    Args:
        clusters: table ``clusters`` of all parts.
        pictures: column ``status`` of the table ``pages`` of all parts, if at hand.
        band: mining.similarity, if at hand.
    """
    if len(clusters) == 0:
        return "no cluster was kept: the corpus has no pages; check pages.path and pages.format"
    reasons = counts(clusters["status"])
    lines = [f"no cluster was kept of {len(clusters)} pages: " + ", ".join(f"{v} {k}" for k, v in reasons.items())]
    if pictures is not None:
        lines.append("pictures: " + ", ".join(f"{v} {k}" for k, v in counts(pictures).items()))
    similarity = clusters["similarity"].dropna()
    if len(similarity):
        text = f"similarity of the pages: {similarity.min():.3f} to {similarity.max():.3f}"
        lines.append(text + (f"; band [{band[0]}, {band[1]}]" if band else ""))
    lines.append("remedy: " + REMEDIES[max(reasons, key=lambda k: reasons[k])])
    return "\n  ".join(lines)


def check_parts(clusters: pd.DataFrame) -> None:
    """Raise if a page lies in several parts, whose subjects and pictures then have equal ids and other contents.

    Pages that the workflow deals itself cannot; files that are dealt already (``pages.path`` with ``{part}``) can.

    Args:
        clusters: table ``clusters`` of all parts.

    Raises:
        ValueError: with the number of such pages, one of them, and the remedy.
    """
    pages = clusters.loc[clusters["cluster_id"].duplicated(), "page_url"]
    if len(pages):
        raise ValueError(
            f"pages.path: {pages.nunique()} pages lie in the files of several parts, e.g. {pages.iloc[0]!r}; their "
            "pictures would be mixed up. Put all pictures of a page into one file, or leave {part} out of pages.path, "
            "and the workflow deals the pages itself"
        )


def precision_recall(kept: np.ndarray, wanted: np.ndarray) -> dict[str, float | int | None]:
    """Precision and recall of boolean arrays ``(n,)``, with the four cells of the confusion; None where
    undefined."""
    kept, wanted = np.asarray(kept, bool), np.asarray(wanted, bool)
    tp, fp, fn = int((kept & wanted).sum()), int((kept & ~wanted).sum()), int((~kept & wanted).sum())
    return {
        "precision": tp / (tp + fp) if tp + fp else None,
        "recall": tp / (tp + fn) if tp + fn else None,
        "true_positive": tp,
        "false_positive": fp,
        "false_negative": fn,
        "true_negative": int((~kept & ~wanted).sum()),
    }


def judge(clusters: pd.DataFrame, truth: pd.DataFrame) -> dict[str, Any]:
    """Precision and recall of the filter, and the table of true page kinds against outcomes.

    Args:
        clusters: table ``clusters``.
        truth: one row a page: page_url, kind, keep (bool: a page of one subject that the filter should keep).

    Raises:
        ValueError: a page of the truth is missing among the clusters, or has two rows.
    """
    if truth["page_url"].duplicated().any():
        raise ValueError("truth: a page_url has two rows; expected one row a page")
    joined = truth[["page_url", "kind", "keep"]].merge(clusters[["page_url", "status"]], on="page_url", how="left")
    if joined["status"].isna().any():
        missing = joined.loc[joined["status"].isna(), "page_url"]
        raise ValueError(f"clusters lack {len(missing)} pages of the truth, e.g. {missing.iloc[0]}; run mining again")
    kept = (joined["status"] == "kept").to_numpy()
    kinds: dict[str, Any] = {}
    for kind, group in joined.groupby("kind", sort=True):
        outcome = {status: int((group["status"] == status).sum()) for status in STATUSES}
        right = (group["status"] == "kept") == group["keep"].astype(bool)
        kinds[str(kind)] = {"pages": len(group), "should_be_kept": bool(group["keep"].iloc[0]),
                            "right": float(right.mean()), "outcomes": outcome}  # fmt: skip
    return {**precision_recall(kept, joined["keep"].to_numpy()), "by_kind": kinds}


def page_kinds(clusters: pd.DataFrame, truth: pd.DataFrame | None) -> pd.Series:
    """What each row of ``clusters`` is called in the figure: its true kind, or without a truth where it came
    from.

    Where it came from is the scheme of its address: 'folder', 'https', 'tar'.
    """
    if truth is None:
        return clusters["page_url"].str.partition(":")[0]
    kinds = truth.drop_duplicates("page_url").set_index("page_url")["kind"]
    return clusters["page_url"].map(kinds).fillna("unknown")


def report(
    clusters: pd.DataFrame, picture_status: pd.Series, band: tuple[float, float], truth: pd.DataFrame | None
) -> dict[str, Any]:
    """Summary of mining: pages and pictures by outcome, similarity quantiles, and the judgement if there is
    a truth.

    Args:
        clusters: table ``clusters`` of all parts.
        picture_status: column ``status`` of the table ``pages`` of all parts.
        band: mining.similarity.
        truth: see ``judge``, or None.

    Raises:
        ValueError: no cluster was kept (counts by reason, and the remedy), or a page lies in several parts.
    """
    check_parts(clusters)
    kept = clusters["status"] == "kept"
    if not kept.any():
        raise ValueError(no_cluster_message(clusters, picture_status, band))
    similarity = clusters["similarity"].dropna()
    quantiles = {f"{q:g}": round(float(similarity.quantile(q)), 6) for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
    result: dict[str, Any] = {
        "band": list(band),
        "pages": len(clusters),
        "outcomes": {status: int((clusters["status"] == status).sum()) for status in STATUSES},
        "kept_share": round(float(kept.mean()), 6),
        "pictures": counts(picture_status),
        "pictures_in_kept_clusters": int(clusters.loc[kept, "images"].sum()),
        "similarity_quantiles": quantiles if len(similarity) else {},
    }
    if truth is not None:
        result["truth"] = judge(clusters, truth)
        return result
    sources = page_kinds(clusters, None)
    result["sources"] = {}
    for name, group in clusters.groupby(sources.to_numpy(), sort=True):
        outcomes = {status: int((group["status"] == status).sum()) for status in STATUSES}
        result["sources"][str(name)] = {"pages": len(group), "outcomes": outcomes}
    return result
