"""The pages' subjects as the world knows them: true pictures of the experts' prompts, and what samples are judged by.

A prompt of the language stage names its subject by a description, 'a teal vase in the snow'. Here it stands with the
class noun in that place, as the benchmark's prompts do: what the subject looks like is the subject score's matter.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from suti.benchmark.world import REFERENCES, changed_references, target
from suti.benchmark.world import references as references_of
from suti.language.text import named_by_class
from suti.mining.clusters import cluster_id
from suti.world.language import parse
from suti.world.pages import subject_from_json
from suti.world.subjects import Subject


def page_subjects(truth: pd.DataFrame) -> dict[str, Subject]:
    """Who is on each page that shows just one subject, by the subject_id of the pipeline, which the subject bears too.

    Args:
        truth: table 'truth'.
    """
    known = truth.dropna(subset=["subject"])
    keys = [cluster_id(url) for url in known["page_url"]]
    return {
        key: replace(subject_from_json(text), subject_id=key) for key, text in zip(keys, known["subject"], strict=True)
    }


def asked_of(samples: pd.DataFrame, named: pd.DataFrame, pages: dict[str, Subject]) -> pd.DataFrame:
    """Table 'generations' of the samples whose prompt has a true picture; ``run`` is left to be filled in.

    The others are of a page that shows several subjects, or of a prompt that is not of the world or names another
    class than the page's: the language stage took one for another.

    Args:
        samples: table 'samples'.
        named: table 'subjects', which has the descriptions.
        pages: what ``page_subjects`` gives.

    Returns:
        Columns sample_id, subject_id, prompt_id, prompt (with the class noun) and image_index, in the order and with
        the index of ``samples``.
    """
    names = named.set_index("subject_id")
    prompts = [_asked(row.prompt, names.loc[row.subject_id], pages.get(row.subject_id)) for row in samples.itertuples()]
    numbers = samples.groupby(["subject_id", "prompt_id"]).cumcount().astype("int32")
    found = samples[["sample_id", "subject_id", "prompt_id"]].assign(prompt=prompts, image_index=numbers)
    return found.dropna(subset=["prompt"])


def _asked(prompt: str, name: pd.Series, subject: Subject | None) -> str | None:
    """The prompt with the class noun, or None if it has no true picture."""
    if subject is None:
        return None
    text = named_by_class(prompt, str(name["description"]), str(name["class_name"]))
    try:
        return text if parse(text).class_name == subject.class_name else None
    except ValueError:
        return None


def true_pictures(asked: pd.DataFrame, pages: dict[str, Subject], seed: int, size: int) -> list[np.ndarray]:
    """The true picture of each row of ``asked_of``: uint8 (size, size, 3)."""
    return [
        target(pages[row.subject_id], row.prompt, f"experts-{seed}", index=row.image_index, size=size)
        for row in asked.itertuples()
    ]


def real_pictures(
    asked: pd.DataFrame, pages: dict[str, Subject], seed: int
) -> tuple[dict[str, list[np.ndarray]], dict[str, list[np.ndarray]]]:
    """What the rows of ``asked_of`` are judged by, as in the benchmark: renders that no system sees.

    Returns:
        References by subject, and by SUBJECT__PROMPT those of prompts that change the subject's looks; uint8
        (64, 64, 3) each.
    """
    references, appearances = {}, {}
    for subject_id, rows in asked.groupby("subject_id", sort=False):
        subject = pages[str(subject_id)]
        references[str(subject_id)] = list(references_of(subject, REFERENCES, seed))
        prompts = rows.drop_duplicates("prompt_id")[["prompt_id", "prompt"]].to_dict("records")
        appearances.update(changed_references(subject, prompts, seed))
    return references, appearances
