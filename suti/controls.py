"""Controls beside the curve of lambda: sets to train on that no lambda made. They decide no claim.

``random``: as many samples as G at the default lambda, whatever their score; tells the quality of G from its quantity.
``copies``: planted copies, for which some samples give way to pictures of their own page; none of them shows its unseen
prompt better than the demonstrations, being one. ``copies-filtered``: the same after the cut. Experts that overfit as
the paper's do would draw such copies; these hardly do, so the filter's work is shown where it is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from suti.filtering import SCORES
from suti.seeds import generator, stable_hash

if TYPE_CHECKING:
    from suti.experts.embedding import SubjectEmbeddings

COPY = "_copy"
"""What the name of a planted copy has behind that of the sample in whose place it stands."""


def ranks(names: pd.Series, seed: int, *key: str) -> np.ndarray:
    """int64 (N,): place of each name in an order drawn by seed and key, which no other name changes."""
    hashes = [stable_hash(seed, "control", *key, name) for name in names]
    return np.argsort(np.argsort(hashes, kind="stable"), kind="stable")


def random_subset(scores: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """``count`` rows of table 'scores', whatever they score, sorted by sample.

    Raises:
        ValueError: there are not so many.
    """
    if not 0 < count <= len(scores):
        raise ValueError(f"control 'random': {count} samples of {len(scores)} wanted; make filtered/ anew")
    return scores[ranks(scores["sample_id"], seed, "random") < count].sort_values("sample_id", ignore_index=True)


def plant(samples: pd.DataFrame, demonstrations: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Table 'samples' with copies, and a column ``copied``: image_id of the picture that a copy is, '' of a sample.

    Which samples give way depends on seed and sample alone, and those of a smaller share are among those of a larger.

    Args:
        samples: table 'samples' of the whole run, (N rows).
        demonstrations: table 'demonstrations' of the experts.
        share: of the samples that give way, in (0, 1).
    """
    planted = ranks(samples["sample_id"], seed, "copies") < round(share * len(samples))
    own = demonstrations.sort_values("image_id").groupby("subject_id")["image_id"].agg(list)
    copied = [
        str(generator(seed, "control", "copy", sample).choice(own[subject])) if gives_way else ""
        for sample, subject, gives_way in zip(samples["sample_id"], samples["subject_id"], planted, strict=True)
    ]
    names = samples["sample_id"].where(~planted, samples["sample_id"] + COPY)
    return samples.assign(sample_id=names, copied=copied)


def planted_scores(
    planted: pd.DataFrame,
    scores: pd.DataFrame,
    demonstrations: pd.DataFrame,
    embeddings: Mapping[str, SubjectEmbeddings],
    score: str,
) -> pd.DataFrame:
    """Table 'scores' of a planted set: the samples' own, and of each copy that of the demonstration that it is.

    Args:
        planted: what ``plant`` gives, a subject's rows in the order of its embeddings.
        scores: table 'scores' of the samples.
        demonstrations: table 'demonstrations' of the experts.
        embeddings: by subject; demonstrations sorted by image_id, as ``scripts/embed_samples.py`` writes them.
        score: a key of ``suti.filtering.SCORES``.
    """
    order = demonstrations.sort_values(["subject_id", "image_id"])
    places = dict(zip(order["image_id"], order.groupby("subject_id").cumcount(), strict=True))
    values = dict(zip(scores["sample_id"], scores["score"], strict=True))
    rows = planted.assign(place=planted.groupby("subject_id").cumcount())
    found = []
    for row in rows.itertuples():
        if row.copied:
            known = embeddings[row.subject_id]
            copy = known.demonstrations[places[row.copied]]
            found.append(SCORES[score](copy, known.prompts[int(row.place)], known.demonstrations))
        else:
            found.append(values[row.sample_id])
    return planted[["sample_id", "subject_id", "prompt_id"]].assign(score=found)
