"""The probe's scores, which stand for the paper's human ratings in the rendered world (section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd
from tqdm import tqdm

from suti.benchmark.contents import appearance_key
from suti.evaluation.metrics import KEYS, SCORES, SUBJECT_TEXT, overall, subject_text

RULES = {"overall": overall, SUBJECT_TEXT: subject_text}


class Probe(Protocol):
    """What judging needs of ``suti.small_models.probe_network``."""

    thresholds: dict[str, float]

    def judge(
        self, images: Sequence[np.ndarray], prompts: Sequence[str], references: Sequence[Sequence[np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Subject, text and realism scores, each (N,), of N pictures with N prompts and N lists of real
        pictures."""
        ...


def judge_run(
    generations: pd.DataFrame,
    images: Mapping[str, np.ndarray],
    references: Mapping[str, Sequence[np.ndarray]],
    probe: Probe,
    appearances: Mapping[str, Sequence[np.ndarray]] | None = None,
) -> pd.DataFrame:
    """Every score of every picture of a run, in the order of its generations.

    One subject at a time, so that a subject's numbers do not depend on which others are there, to the last bit, and
    so that mappings which read pictures when asked keep no more than one subject in memory.

    Args:
        generations: table 'generations'. An empty prompt means a real photo, which has no score of text.
        images: uint8 (H, W, 3) by sample_id.
        references: real pictures, uint8 (H, W, 3), by subject_id.
        appearances: by SUBJECT__PROMPT, real pictures that show the subject as that prompt asks: recoloured, wet,
            sketched. They stand in the place of ``references`` for that prompt.

    Raises:
        ValueError: a picture or prompt that the probe cannot judge.
    """
    result = generations[KEYS].reset_index(drop=True)
    columns = {name: np.full(len(result), np.nan) for name in (*SCORES, "overall", SUBJECT_TEXT)}
    groups = result.groupby("subject_id", sort=False).indices
    for subject_id, rows in tqdm(groups.items(), desc="judging subjects", mininterval=5):
        pictures = [images[key] for key in result["sample_id"].iloc[rows]]
        prompts = generations["prompt"].iloc[rows].tolist()
        plain = references[str(subject_id)]
        keys = [appearance_key(str(subject_id), prompt) for prompt in generations["prompt_id"].iloc[rows]]
        changed = {key: appearances[key] for key in set(keys) if appearances is not None and key in appearances}
        try:
            answers = probe.judge(pictures, prompts, [changed.get(key, plain) for key in keys])
        except ValueError as error:
            raise ValueError(
                f"{error}; the probe knows the world only, set evaluation.probe to null for photos"
            ) from error
        judged = dict(zip(SCORES, answers, strict=True))
        passed = {name: rule(judged, probe.thresholds) for name, rule in RULES.items()}
        for name, values in (judged | passed).items():
            columns[name][rows] = values
    return result.assign(**columns)
