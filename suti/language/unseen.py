"""Unseen prompts ``p_s`` by the grammar: re-contextualisation, attribute editing, art style, accessorisation, and
compositions of them.

A prompt is the subject's noun phrase in one of the lexicon's phrases. The noun phrase is the description ('a
red striped teapot', as in the paper, where refined texts and prompts share the subject's name) or the class
noun alone ('a teapot', as in the benchmark's prompts), in shares that the lexicon sets. From the first the
expert knows whom to draw; it has read the description in every text of its training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from suti import seeds
from suti.config.values import COMPOSITIONAL, SKILLS, Skill
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
    """Every prompt of a skill in random order, at the lexicon's share of whole descriptions.

    Phrases that the cluster's own texts already show come last: 'in the snow' is no new context for a picture
    there.
    """
    if skill == COMPOSITIONAL:
        yield from _compositions(subject, lexicon, scenes, rng)
        return
    pool = _phrasings(subject, skill, lexicon, scenes, rng)
    while pool:
        whole = _whole(subject, lexicon, rng)
        # The first phrase that still has the wished noun phrase; any phrase if none has.
        index = next((i for i, (_, is_whole) in enumerate(pool) if is_whole == whole), 0)
        yield pool.pop(index)[0]


def _whole(subject: Description, lexicon: Lexicon, rng: np.random.Generator) -> bool:
    """Whether a prompt says the whole description, and not the class noun alone."""
    return bool(rng.uniform() < lexicon.description_share) and subject.description != subject.class_name


def _phrasings(
    subject: Description, skill: Skill, lexicon: Lexicon, scenes: str, rng: np.random.Generator
) -> list[tuple[str, bool]]:
    """``(prompt, says the whole description)`` of a skill, unseen phrases first, each half shuffled."""
    plural = is_plural(subject.class_name, lexicon)
    found: list[tuple[bool, float, str, bool]] = []
    for phrase in lexicon.prompts[skill]:
        for whole in (True, False):
            noun = subject.description if whole else subject.class_name
            if whole and subject.description == subject.class_name:
                continue
            if skill == "attribute_editing" and phrase in subject.description.split():
                continue  # 'a red teapot' of a red teapot is no edit
            text = phrased(noun, skill, phrase, "", lexicon, plural)
            found.append((f" {normalise(phrase)}" in scenes, float(rng.uniform()), text, whole))
    return [(text, whole) for _, _, text, whole in sorted(found)]


def _compositions(subject: Description, lexicon: Lexicon, scenes: str, rng: np.random.Generator) -> Iterator[str]:
    """Prompts with two or three requests, one of them a place: the others are an accessory, an edit, or both.

    As DreamBench-v2's compositional prompts (section 5.1): 'a wet red teapot wearing a red hat in the snow'. No art
    style: a sketch or a print hides the place and the colours that the others ask for. Places that the cluster's own
    texts name are taken only if there is no other. Two requests and three are as likely as one another.
    """
    plural = is_plural(subject.class_name, lexicon)
    places = lexicon.prompts["recontextualization"]
    places = tuple(place for place in places if f" {normalise(place)}" not in scenes) or places
    worn = lexicon.prompts["accessorization"]
    own = subject.description.split()
    edits = tuple(edit for edit in lexicon.prompts["attribute_editing"] if edit not in own)
    made: set[tuple[str, str, str]] = set()
    while len(made) < len(places) * ((len(worn) + 1) * (len(edits) + 1) - 1):
        # One accessory or one edit and a place, or all three; the fourth quarter is the third again.
        kind, place, accessory, edit = (int(rng.integers(n)) for n in (4, len(places), len(worn), max(len(edits), 1)))
        chosen = (
            edits[edit] if kind != 0 and edits else "",
            worn[accessory] if kind != 1 or not edits else "",
            places[place],
        )
        if chosen in made:
            continue
        made.add(chosen)
        noun = subject.description if _whole(subject, lexicon, rng) else subject.class_name
        other = " ".join(filter(None, chosen[1:]))
        if chosen[0]:
            yield phrased(noun, "attribute_editing", chosen[0], other, lexicon, plural)
        else:
            yield f"{with_article(noun, plural)} {other}"


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
