"""Scores of every picture of a run, and the summary of the run (section 5.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from tqdm import tqdm

from suti.evaluation.bootstrap import summarise, template_rows
from suti.evaluation.copies import COPY_RULE, diversity, nearest, pixel_similarity, thumbnails
from suti.evaluation.metrics import (
    METRICS,
    REFERENCE_RULE,
    SCORES,
    distinct,
    overall,
    reference_similarity,
    text_similarity,
)
from suti.models.encoders import ImageEncoder, TextImageEncoder

BATCH = 128  # pictures an encoder sees at once: a subject of 25 prompts x 4 with its known pictures
KEYS = ["run", "sample_id", "subject_id", "prompt_id", "image_index"]


class Probe(Protocol):
    """What evaluation needs of ``suti.small_models.probe_network``."""

    thresholds: dict[str, float]

    def judge(
        self, images: Sequence[np.ndarray], prompts: Sequence[str], references: Sequence[Sequence[np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Subject, text and realism scores, each (N,), of N pictures with N prompts and N lists of real
        pictures."""
        ...


def evaluate_run(
    generations: pd.DataFrame,
    images: Mapping[str, np.ndarray],
    references: Mapping[str, Sequence[np.ndarray]],
    encoders: Mapping[str, ImageEncoder | TextImageEncoder],
    probe: Probe | None = None,
    shown: Mapping[str, Sequence[np.ndarray]] | None = None,
) -> pd.DataFrame:
    """Table 'image_metrics' of one run, in the order of its generations.

    One subject at a time, so that a subject's numbers do not depend on which others are there, to the last
    bit, and so that mappings which read pictures when asked keep no more than one subject in memory. Every
    encoder sees every picture once.

    Args:
        generations: table 'generations'. An empty prompt means a real photo, which has no score of text.
        images: uint8 (H, W, 3) by sample_id.
        references: real pictures, uint8 (H, W, 3), by subject_id.
        encoders: by metric: any of 'dino', 'clip_i', 'clip_t', 'dinov2'; the column of one that is left out stays
            empty.
        probe: networks that give the scores of the human columns, or None.
        shown: demonstrations by subject_id, to which pictures are compared as to the references in the search
            for copies.

    Raises:
        ValueError: a picture or a subject's references are missing.
    """
    missing = [key for key in generations["sample_id"] if key not in images]
    if missing:
        raise ValueError(f"sample {missing[0]!r} ({len(missing)} in all) is in the table but not in the image shard")
    result = generations[KEYS].reset_index(drop=True)
    result = result.assign(**{metric: np.nan for metric in METRICS})
    groups = result.groupby("subject_id", sort=False).indices
    for subject_id, rows in tqdm(groups.items(), desc="judging subjects", mininterval=5):
        real = references.get(subject_id)
        if not real:
            raise ValueError(f"subject {subject_id!r}: no real pictures in the references; prepare the benchmark anew")
        pictures = [images[key] for key in result["sample_id"].iloc[rows]]
        asked = generations.iloc[rows][["prompt_id", "prompt"]]
        scores = _judge_subject(pictures, asked, real, (shown or {}).get(subject_id, []), encoders, probe)
        for metric, values in scores.items():
            result.iloc[rows, result.columns.get_loc(metric)] = values
    return result


def _judge_subject(
    pictures: list[np.ndarray],
    asked: pd.DataFrame,
    real: Sequence[np.ndarray],
    shown: Sequence[np.ndarray],
    encoders: Mapping[str, Any],
    probe: Probe | None,
) -> dict[str, np.ndarray]:
    scores: dict[str, np.ndarray] = {}
    embedded: dict[str, np.ndarray] = {}  # by encoder: CLIP-I and CLIP-T often share one
    prompts = asked["prompt"].tolist()
    has_prompt = np.array([bool(prompt) for prompt in prompts])
    all_pictures, (own, references, demonstrations) = distinct(pictures, real, shown)
    known = np.unique(np.concatenate([references, demonstrations]))
    # A real photo does not meet itself. A drawn picture that equals a known one is a copy, and does.
    itself = np.equal.outer(own, known) & ~has_prompt[:, None]
    for metric, encoder in encoders.items():
        if encoder.name not in embedded:
            embedded[encoder.name] = encoder.embed(all_pictures, BATCH)
        rows = embedded[encoder.name]
        if metric == "clip_t":
            values = text_similarity(rows[own], _embed_texts(encoder, prompts))
            scores[metric] = np.where(has_prompt, values, np.nan)
        else:
            scores[metric] = reference_similarity(rows[own], rows[references], np.equal.outer(own, references))
        if metric == "dino":
            scores["nearest_dino"] = nearest(rows[own] @ rows[known].T, itself)
            scores["diversity"] = diversity(rows[own], asked["prompt_id"].tolist())
    small = thumbnails(all_pictures)
    scores["nearest_pixels"] = nearest(pixel_similarity(small[own], small[known]), itself)
    if probe is not None:
        try:
            answers = probe.judge(pictures, prompts, [real] * len(pictures))
        except ValueError as error:
            raise ValueError(
                f"{error}; the probe knows the world only, set evaluation.probe to null for photos"
            ) from error
        judged = dict(zip(SCORES, answers, strict=True))
        scores |= judged
        scores["overall"] = overall(judged, probe.thresholds)
    return scores


def _embed_texts(encoder: TextImageEncoder, texts: list[str]) -> np.ndarray:
    """(N, D) of N texts; those that are asked for several pictures are embedded once."""
    different = list(dict.fromkeys(texts))
    rows = encoder.embed_text(different)
    return rows[[different.index(text) for text in texts]]


def summary(
    image_metrics: pd.DataFrame,
    encoders: Mapping[str, str],
    probe: str | None,
    thresholds: Mapping[str, float] | None,
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """JSON of one run: every metric with its interval, and the protocol by which it was measured.

    Compositional prompts are harder than the templates and not part of the tables; they do not count here.
    """
    image_metrics = template_rows(image_metrics)
    runs = image_metrics["run"].unique().tolist()
    return {
        "run": runs[0] if len(runs) == 1 else runs,
        "metrics": summarise(image_metrics, bootstrap, seed),
        "protocol": {
            "encoders": dict(encoders),
            "references": REFERENCE_RULE,
            "text": "raw cosine of picture and prompt, not rescaled and not clipped",
            "probe": probe,
            "thresholds": dict(thresholds) if thresholds else None,
            "overall": "1 if subject, text and realism each reach their threshold, per picture, else 0",
            "copies": COPY_RULE,
            "diversity": "mean DINO distance (1 - cosine) between the pictures of one prompt; none if there is one",
            "estimate": "mean over subjects of the mean over a subject's pictures",
            "interval": f"95 % percentile interval of {bootstrap} bootstrap resamples of the subjects, seed {seed}",
            "subjects": int(image_metrics["subject_id"].nunique()),
            "images": len(image_metrics),
        },
    }
