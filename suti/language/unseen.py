"""Unseen prompts ``p_s`` by the grammar: re-contextualisation, attribute editing, art style, accessorisation.

A prompt is the subject's noun phrase in one of the lexicon's phrases. The noun phrase is the description ('a
red striped teapot', as in the paper, where refined texts and prompts share the subject's name) or the class
noun alone ('a teapot', as in the benchmark's prompts), in shares that the lexicon sets. From the first the
expert knows whom to draw; it has read the description in every text of its training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from suti import seeds
from suti.config.values import SKILLS, Skill
from suti.language.grammar import is_plural
from suti.language.lexicon import Lexicon
from suti.language.schema import Description, Evidence, Prompt
from suti.language.text import normalise, unseen_form, with_article


def draw_skills(shares: dict[Skill, float], count: int, *key: seeds.Key) -> list[Skill]:
    """Skills of ``count`` prompts by systematic sampling: each skill within 1 of ``count`` times its share.

    Args:
        shares: weight of each skill, any positive scale; a skill left out has weight 0.
        key: of the one random offset, e.g. ``(seed, "prompts", subject_id)``.

    Raises:
        ValueError: no skill has a positive share, or one is negative.
    """
    weights = np.array([shares.get(skill, 0.0) for skill in SKILLS], dtype=np.float64)
    if (weights < 0).any() or weights.sum() <= 0:
        raise ValueError(f"language.skills: {shares}, expected shares >= 0 with a positive sum")
    edges = np.cumsum(weights / weights.sum())
    edges[-1] = 1.0
    points = (seeds.generator(*key, "skills").uniform() + np.arange(count)) / max(count, 1)
    return [SKILLS[int(i)] for i in np.searchsorted(edges, points, side="right").clip(0, len(SKILLS) - 1)]


def unseen_prompts(
    subject: Description,
    evidence: Evidence,
    refined: Iterable[str],
    skills: Iterable[Skill],
    lexicon: Lexicon,
    *key: seeds.Key,
    taken: Iterable[str] = (),
) -> tuple[list[Prompt], list[Skill]]:
    """One prompt for each skill wanted, each new, none equal to a text of the cluster or to another prompt.

    Args:
        refined: refined texts of the cluster's pictures.
        skills: the skill of each prompt wanted.
        key: of the random draws, e.g. ``(seed, "prompts", subject_id)``; each skill draws for itself.
        taken: prompts that are already written, by a model.

    Returns:
        The prompts in the order of ``skills``, and the skills whose phrases ran out (one entry a missing
        prompt).
    """
    seen = seen_forms(evidence, refined) | {unseen_form(p) for p in taken}
    streams: dict[Skill, Iterator[str]] = {}
    prompts: list[Prompt] = []
    missing: list[Skill] = []
    scenes = " | ".join(normalise(t) for t in (*evidence.texts, *refined))
    for skill in skills:
        if skill not in streams:
            rng = seeds.generator(*key, skill)
            streams[skill] = _candidates(subject, skill, lexicon, scenes, rng)
        text = next((t for t in streams[skill] if unseen_form(t) not in seen), None)
        if text is None:
            missing.append(skill)
        else:
            seen.add(unseen_form(text))
            prompts.append(Prompt(text, skill))
    return prompts, missing


def seen_forms(evidence: Evidence, refined: Iterable[str]) -> set[str]:
    """Forms that no prompt may have: those of the cluster's captions, alt texts and refined texts."""
    return {unseen_form(t) for t in (*evidence.texts, *refined)} | {""}


def _candidates(
    subject: Description, skill: Skill, lexicon: Lexicon, scenes: str, rng: np.random.Generator
) -> Iterator[str]:
    """Every prompt of a skill, single phrases and joined ones, in random order at the lexicon's shares.

    Phrases that the cluster's own texts already show come last: 'in the snow' is no new context for a picture
    there.
    """
    singles = _phrasings(subject, skill, lexicon, scenes, rng, joined=False)
    joined = _phrasings(subject, skill, lexicon, scenes, rng, joined=True)
    while singles or joined:
        first, second = (joined, singles) if rng.uniform() < lexicon.combination_share else (singles, joined)
        pool = first or second
        whole = rng.uniform() < lexicon.description_share
        # The first phrase that still has the wished noun phrase; any phrase if none has.
        index = next((i for i, (_, is_whole) in enumerate(pool) if is_whole == whole), 0)
        yield pool.pop(index)[0]


def _phrasings(
    subject: Description,
    skill: Skill,
    lexicon: Lexicon,
    scenes: str,
    rng: np.random.Generator,
    *,
    joined: bool,
) -> list[tuple[str, bool]]:
    """``(prompt, says the whole description)`` of a skill, unseen phrases first, each half shuffled."""
    plural = is_plural(subject.class_name, lexicon)
    places = lexicon.prompts["recontextualization"]
    found: list[tuple[bool, float, str, bool]] = []
    for phrase in lexicon.prompts[skill]:
        others: tuple[str, ...] = ("",)
        if joined:
            # Two contexts contradict each other, so a context is joined with an accessory, anything else with
            # a context.
            others = lexicon.prompts["accessorization"] if skill == "recontextualization" else places
        for other in others:
            for whole in (True, False):
                noun = subject.description if whole else subject.class_name
                if whole and subject.description == subject.class_name:
                    continue
                if skill == "attribute_editing" and phrase in subject.description.split():
                    continue  # 'a red teapot' of a red teapot is no edit
                text = phrased(noun, skill, phrase, other, lexicon, plural)
                old = f" {normalise(phrase)}" in scenes or bool(other and f" {normalise(other)}" in scenes)
                found.append((old, float(rng.uniform()), text, whole))
    return [(text, whole) for _, _, text, whole in sorted(found)]


def phrased(noun: str, skill: Skill, phrase: str, other: str, lexicon: Lexicon, plural: bool) -> str:
    """A noun in a phrase of a skill and, unless it is empty, one of another: 'a teapot wearing a hat in the snow'."""
    if skill == "attribute_editing":
        kept = noun.split()
        if phrase in lexicon.words.colours:
            # A new colour takes the place of the old one: 'a red teapot', not 'a red blue teapot'.
            kept = [w for w in kept[:-1] if w not in lexicon.words.colours and w != "and"] + kept[-1:]
        return " ".join(filter(None, (with_article(" ".join([phrase, *kept]), plural), other)))
    subject = with_article(noun, plural)
    if skill == "art_style":
        return " ".join(filter(None, (phrase, subject, other)))
    if skill == "recontextualization" and other:
        return f"{subject} {other} {phrase}"  # 'wearing a red hat in the snow'
    return " ".join(filter(None, (subject, phrase, other)))
