"""Subjects and refined texts from captions (section 4, 'an LLM reads all pairs of a cluster').

A writer names the subject from all pairs of the cluster at once. The refined text of each picture is then
composed: the description, followed by the scene of the picture's own caption. So one question is put a
subject, not one a picture, and no text claims a scene that no caption saw.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pandas as pd

from suti.language.grammar import GENERIC, refined_text
from suti.language.in_flight import in_flight
from suti.language.schema import Evidence, Log
from suti.language.writers import Writer


def evidence_of(captions: pd.DataFrame) -> Iterator[Evidence]:
    """Evidence of every cluster of a ``captions`` table, by id; rows keep their order within a cluster."""
    for cluster_id, rows in captions.groupby("cluster_id", sort=True):
        yield Evidence(
            str(cluster_id),
            tuple(rows["image_id"]),
            tuple("" if pd.isna(text) else str(text) for text in rows["alt_text"]),
            tuple("" if pd.isna(text) else str(text) for text in rows["caption"]),
        )


def refine_subjects(
    captions: pd.DataFrame, writer: Writer, scene_in_texts: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame, Log]:
    """Tables ``subjects`` and ``texts`` of a ``captions`` table, and the log.

    A row depends on its own cluster alone, so parts, order and neighbours change nothing.

    Args:
        scene_in_texts: False: a refined text is the description alone, whatever the picture's caption says.
    """
    log = Log(writer.name, writer.model)
    start = time.perf_counter()
    subjects: list[dict[str, object]] = []
    texts: list[dict[str, object]] = []
    clusters = list(evidence_of(captions))
    described = in_flight(clusters, writer.describe, log, writer.concurrency, writer.most_fallbacks, "subjects")
    for evidence, subject in zip(clusters, described, strict=True):
        log.generic += subject.class_name == GENERIC
        subjects.append(
            {
                "subject_id": evidence.subject_id,
                "description": subject.description,
                "class_name": subject.class_name,
                "backend": writer.name,
                "fallback": subject.fallback,
            }
        )
        for image_id, caption in zip(evidence.image_ids, evidence.captions, strict=True):
            text = refined_text(subject, caption if scene_in_texts else "", writer.lexicon)
            texts.append({"subject_id": evidence.subject_id, "image_id": image_id, "text": text})
    log.subjects = log.rows = len(subjects)
    log.seconds = time.perf_counter() - start
    return (
        pd.DataFrame(subjects, columns=["subject_id", "description", "class_name", "backend", "fallback"]),
        pd.DataFrame(texts, columns=["subject_id", "image_id", "text"]),
        log,
    )
