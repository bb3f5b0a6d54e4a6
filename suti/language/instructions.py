"""Instructions for an editor of pictures, and captions before and after an edit (InstructPix2Pix, section 3.1).

The paper fine-tunes GPT-3 to write them. Here the grammar's phrases do: an edit adds a phrase of one of the skills, and
its instruction says the phrase without the subject, 'make it in the snow' or 'make it red'. The words are few and
the syntax is poor, but the same function makes an instruction of any benchmark prompt, so an editor that learned from
these is asked in the words that it learned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from suti import seeds
from suti.config.values import SINGLE, Skill
from suti.language.grammar import is_plural
from suti.language.lexicon import Lexicon
from suti.language.schema import Description
from suti.language.unseen import draw_skills, phrased


@dataclass(frozen=True)
class Edit:
    """A caption, what to do, and the caption of the result."""

    source: str
    instruction: str
    target: str
    skill: Skill


def instruction_of(prompt: str, class_name: str) -> str:
    """What to do to a picture of a ``class_name`` so that it fits a prompt: the prompt less the noun and its article.

    'a teapot in the snow' is 'make it in the snow', 'a red teapot' is 'make it red', 'a pencil sketch of a teapot' is
    'make it a pencil sketch'. A prompt that lacks the noun, or says no more than it, is taken whole.
    """
    found = re.search(rf"\b{re.escape(class_name)}\b", prompt, re.IGNORECASE)
    words = ""
    if found:
        before, after = prompt[: found.start()], prompt[found.end() :]
        style, _, modifiers = before.rpartition(" of ")
        modifiers = re.sub(r"^\s*(an?|the)\b", "", modifiers, flags=re.IGNORECASE)
        words = " ".join(f"{style} {modifiers} {after}".split())
    return f"make it {words or ' '.join(prompt.split())}"


def edits(
    subject: Description, skills: dict[Skill, float], count: int, lexicon: Lexicon, *key: seeds.Key
) -> Iterator[Edit]:
    """``count`` edits of a subject: each from a scene, to another scene or to the same with something added.

    Args:
        skills: share of each. An edit asks for one thing, so compositional prompts have none.
        key: of the draws; an edit does not depend on ``count``.
    """
    plural = is_plural(subject.class_name, lexicon)
    shares = {skill: skills.get(skill, 0.0) for skill in SINGLE}
    if not sum(shares.values()):
        shares = dict.fromkeys(SINGLE, 1.0)
    scenes = lexicon.prompts["recontextualization"]
    for number in range(count):
        skill = draw_skills(shares, 1, *key, number)[0]  # by itself, so that fewer edits are some of more
        rng = seeds.generator(*key, number)
        scene = scenes[int(rng.integers(len(scenes)))]
        known = subject.description.split()
        phrases = [p for p in lexicon.prompts[skill] if p != scene and p not in known]
        phrase = phrases[int(rng.integers(len(phrases)))]
        kept = "" if skill == "recontextualization" else scene  # a new scene takes the place of the old one
        yield Edit(
            phrased(subject.description, "recontextualization", scene, "", lexicon, plural),
            instruction_of(phrased(subject.class_name, skill, phrase, "", lexicon, plural), subject.class_name),
            phrased(subject.description, skill, phrase, kept, lexicon, plural),
            skill,
        )
