"""Scores of every picture of a run, and the summary of the run (section 5.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from tqdm import tqdm

from suti.evaluation.bootstrap import summarise, template_rows
from suti.evaluation.metrics import (
    METRICS,
    REFERENCE_RULE,
    SCORES,
    overall,
    reference_similarity,
    same_picture,
    text_similarity,
)
from suti.models.encoders import ImageEncoder, TextImageEncoder

KEYS = ["run", "sample_id", "subject_id", "prompt_id", "image_index"]


class Probe(Protocol):
    """What evaluation needs of ``suti.models.probe``."""

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
) -> pd.DataFrame:
    """Table 'image_metrics' of one run, in the order of its generations.

    One subject at a time, so that a subject's numbers do not depend on which others are there, to the last
    bit.

    Args:
        generations: table 'generations'. An empty prompt means a real photo, which has no score of text.
        images: uint8 (H, W, 3) by sample_id.
        references: real pictures, uint8 (H, W, 3), by subject_id.
        encoders: by metric: any of 'dino', 'clip_i', 'clip_t'; the column of one that is left out stays
            empty.
        probe: networks that give the scores of the human columns, or None.

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
        if not references.get(subject_id):
            raise ValueError(f"subject {subject_id!r}: no real pictures in the references; prepare the benchmark anew")
        pictures = [images[key] for key in result["sample_id"].iloc[rows]]
        prompts = generations["prompt"].iloc[rows].tolist()
        scores = _judge_subject(pictures, prompts, references[subject_id], encoders, probe)
        for metric, values in scores.items():
            result.iloc[rows, result.columns.get_loc(metric)] = values
    return result


def _judge_subject(
    pictures: list[np.ndarray],
    prompts: list[str],
    real: Sequence[np.ndarray],
    encoders: Mapping[str, Any],
    probe: Probe | None,
) -> dict[str, np.ndarray]:
    scores: dict[str, np.ndarray] = {}
    embedded: dict[str, np.ndarray] = {}  # by encoder: CLIP-I and CLIP-T often share one
    has_prompt = np.array([bool(prompt) for prompt in prompts])
    same = same_picture(pictures, real)
    for metric, encoder in encoders.items():
        if encoder.name not in embedded:
            embedded[encoder.name] = encoder.embed(pictures)
        if metric == "clip_t":
            values = text_similarity(embedded[encoder.name], encoder.embed_text(prompts))
            scores[metric] = np.where(has_prompt, values, np.nan)
        else:
            scores[metric] = reference_similarity(embedded[encoder.name], encoder.embed(real), same)
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
            "estimate": "mean over subjects of the mean over a subject's pictures",
            "interval": f"95 % percentile interval of {bootstrap} bootstrap resamples of the subjects, seed {seed}",
            "subjects": int(image_metrics["subject_id"].nunique()),
            "images": len(image_metrics),
        },
    }
