"""Unseen prompts for every subject (section 4: 'an LLM writes unseen prompts p_s')."""

from __future__ import annotations

import time

import pandas as pd

from suti import seeds
from suti.config.schema import Language
from suti.language.in_flight import in_flight
from suti.language.refine import evidence_of
from suti.language.schema import Description, Log, Prompt
from suti.language.unseen import draw_skills
from suti.language.writers import Writer

COLUMNS = ["subject_id", "prompt_id", "prompt", "skill", "backend", "fallback"]


def write_prompts(
    subjects: pd.DataFrame,
    captions: pd.DataFrame,
    texts: pd.DataFrame,
    writer: Writer,
    seed: int,
    language: Language,
) -> tuple[pd.DataFrame, Log]:
    """Table ``prompts``, ``language.prompts_per_subject`` rows a subject (less the shortfalls), and the log.

    Raises:
        ValueError: a subject without captions (tables of different parts were given).
    """
    log = Log(writer.name, writer.model)
    start = time.perf_counter()
    evidence = {e.subject_id: e for e in evidence_of(captions)}
    refined = {str(key): list(rows["text"]) for key, rows in texts.groupby("subject_id", sort=True)}

    def write(row: tuple[str, Description], own: Log) -> list[Prompt]:
        subject_id, subject = row
        skills = draw_skills(language.skills, language.prompts_per_subject, seed, "prompts", subject_id)
        return writer.prompts(subject, evidence[subject_id], refined.get(subject_id, []), skills, own)

    described = [
        (str(row.subject_id), Description(str(row.description), str(row.class_name)))
        for row in subjects.sort_values("subject_id").itertuples()
    ]
    for subject_id, _ in described:
        if subject_id not in evidence:
            raise ValueError(f"captions: no rows of subject {subject_id!r}; give the captions of the same part")
    written = in_flight(described, write, log, writer.concurrency, writer.most_fallbacks, "prompts")
    rows: list[dict[str, object]] = []
    for (subject_id, _), prompts in zip(described, written, strict=True):
        for prompt in prompts:
            rows.append(
                {
                    "subject_id": subject_id,
                    "prompt_id": f"{seeds.stable_hash(subject_id, prompt.prompt):016x}",
                    "prompt": prompt.prompt,
                    "skill": prompt.skill,
                    "backend": writer.name,
                    "fallback": prompt.fallback,
                }
            )
    log.subjects, log.rows = len(subjects), len(rows)
    log.seconds = time.perf_counter() - start
    return pd.DataFrame(rows, columns=COLUMNS), log
