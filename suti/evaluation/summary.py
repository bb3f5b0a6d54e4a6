"""The summary of a run (section 5.1): every metric with its interval, and the protocol by which it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from suti.benchmark.prompts import requests_of
from suti.evaluation.bootstrap import list_rows, summarise
from suti.evaluation.copies import COPY_RULE
from suti.evaluation.metrics import REFERENCE_RULE, SCORES
from suti.io.atomic import read_json


def probe_thresholds(folder: str | Path) -> dict[str, float]:
    """The least scores that a probe's folder passes, without loading its network.

    Raises:
        ValueError: the folder names none.
    """
    config = Path(folder) / "config.json"
    found = read_json(config).get("thresholds") or {}
    if set(found) != set(SCORES):
        raise ValueError(f"{config}: thresholds are {found}, expected one of each of {', '.join(SCORES)}")
    return {name: float(value) for name, value in found.items()}


def summary(
    image_metrics: pd.DataFrame,
    encoders: Mapping[str, str],
    probe: str | None,
    thresholds: Mapping[str, float] | None,
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """JSON of one run: every metric with its interval, and the protocol by which it was measured.

    ``metrics`` are of the templates and photos, or of the compositional prompts where the run drew those alone:
    ``prompts`` says of which. ``compositional`` has these prompts' figures, in all and by their number of requests.
    """
    runs = image_metrics["run"].unique().tolist()
    composed = list_rows(image_metrics, "compositional")
    templates = list_rows(image_metrics, "templates")
    image_metrics = templates if len(templates) or not len(composed) else composed
    levels = composed["prompt_id"].map(requests_of)
    in_all = summarise(composed, bootstrap, seed) if len(composed) else None
    return {
        "run": runs[0] if len(runs) == 1 else runs,
        "prompts": "templates" if image_metrics is templates else "compositional",
        "metrics": in_all if image_metrics is composed else summarise(image_metrics, bootstrap, seed),
        "compositional": {
            "all": in_all,
            "by_requests": {
                str(level): summarise(rows, bootstrap, seed) for level, rows in composed.groupby(levels, sort=True)
            },
        }
        if in_all
        else None,
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
