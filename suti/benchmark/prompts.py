"""Prompts of a benchmark: which templates a subject gets, and how many of them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from suti.config.values import COMPOSITIONAL
from suti.io.alt_text import words_of_name

if TYPE_CHECKING:
    import pandas as pd

SHEET_ONLY = ("art_style",)  # skills beyond both lists of a benchmark: on sheets, in no table
# The last word of a class that makes a subject a live one: it can wear things.
LIVE_WORDS = frozenset((
    "baby", "bear", "bird", "boy", "bunny", "calf", "cat", "child", "cow", "dog", "duck", "elephant", "fish",
    "fox", "girl", "hamster", "hen", "horse", "kitten", "lamb", "man", "monkey", "parrot", "person", "pig",
    "pony", "puppy", "rabbit", "sheep", "turtle", "woman",
))  # fmt: skip


def select_prompts(n_total: int, n: int) -> list[int]:
    """Indices of n of n_total templates, spread evenly and nested: a smaller choice is always inside a
    larger one.

    Steps of the golden ratio leave gaps of at most three lengths however many are taken. The order of the
    result is that of choice, so the first m of it are ``select_prompts(n_total, m)``.
    """
    golden = (math.sqrt(5) - 1) / 2
    chosen: dict[int, None] = {}
    step = 0
    while len(chosen) < min(n, n_total):
        chosen.setdefault(int((0.5 + step * golden) % 1.0 * n_total), None)
        step += 1
    return list(chosen)


def first_prompts(prompts: pd.DataFrame, templates: int, compositional: int) -> pd.DataFrame:
    """The first prompts of each subject: so many of the templates, and so many of the compositional list.

    A smaller number gives a subset of a larger one (see ``select_prompts``), so the ablations draw some of the
    pictures of the main runs. Prompts that are only shown on sheets come with the whole list of templates.

    Args:
        prompts: table 'benchmark_prompts', whose rows stand in the order of choice within a subject.
    """
    skills = prompts["skill"]
    place = prompts.groupby(["subject_id", skills == COMPOSITIONAL, skills.isin(SHEET_ONLY)], sort=False).cumcount()
    count = (~skills.isin([COMPOSITIONAL, *SHEET_ONLY])).groupby(prompts["subject_id"]).transform("sum")
    limit = skills.map(lambda skill: compositional if skill == COMPOSITIONAL else templates)
    whole = skills.isin(SHEET_ONLY) & (templates >= count)
    return prompts[whole | (~skills.isin(SHEET_ONLY) & (place < limit))]


def requests_of(prompt_id: str) -> int | None:
    """Level of a compositional prompt, 1 to 3 requests: the last digit of its id, 'c12' has two; None for another."""
    found = re.fullmatch(r"c\d+([1-3])", prompt_id)
    return int(found[1]) if found else None


def skill_of(template: str) -> str:
    """Skill of a DreamBench template: accessorization, attribute_editing or recontextualization."""
    if re.search(r"\bwearing\b|\boutfit\b", template):
        return "accessorization"
    bare = re.fullmatch(r"a (\w+ ){1,2}\{\}", template)
    return "attribute_editing" if bare else "recontextualization"


def prompt_rows(subject_id: str, class_name: str, templates: tuple[str, ...], n: int) -> list[dict]:
    """Rows of 'benchmark_prompts' of one subject: n templates with the class word, in the order of choice."""
    return [
        {
            "subject_id": subject_id,
            "prompt_id": f"{index:02d}",
            "prompt": templates[index].format(class_name),
            "skill": skill_of(templates[index]),
        }
        for index in select_prompts(len(templates), n)
    ]


def templates_for(class_name: str, objects: tuple[str, ...], lives: tuple[str, ...]) -> tuple[str, ...]:
    """The templates of a class: those of live subjects, or those of objects."""
    return lives if is_live(class_name) else objects


def is_live(class_name: str) -> bool:
    """Whether the last word of a class is one of ``LIVE_WORDS``."""
    return class_name.lower().split()[-1] in LIVE_WORDS


def class_of(folder: str) -> str:
    """Class words of a folder's name: 'grey_cat2' is 'grey cat', '3d_printer' is '3d printer'.

    Raises:
        ValueError: there are no words in it.
    """
    words = words_of_name(folder)
    if not any(c.isalpha() for c in words):
        raise ValueError(f"folder {folder!r}: its name gives no class word; rename it after its subject, e.g. dog_1")
    return words
