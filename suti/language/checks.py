"""What makes a model's answer unusable, beyond its form. Alt texts are hostile; so are answers."""

from __future__ import annotations

import math

from suti.config.values import COMPOSITIONAL, Skill
from suti.language.backends.base import Unusable
from suti.language.grammar import GENERIC
from suti.language.lexicon import Lexicon
from suti.language.schema import Description, Evidence, SubjectAnswer
from suti.language.text import clean, has_latin, has_markup, unseen_form, words

MAX_DESCRIPTION_WORDS = 10
MAX_PROMPT_WORDS, MAX_PROMPT_CHARACTERS = 30, 180
_ORDERS = {
    "ignore",
    "instruction",
    "instructions",
    "prompt",
    "assistant",
    "system",
    "json",
    "answer",
    "http",
    "alt_text",
}
_ARTS = {
    "painting", "sketch", "drawing", "print", "art", "style", "illustration", "cartoon", "sculpture", "mural",
    "portrait", "mosaic", "origami", "render", "rendering", "poster", "engraving", "watercolor",
    "watercolour", "oil", "anime", "comic",
}  # fmt: skip


def description_of(answer: SubjectAnswer, evidence: Evidence, lexicon: Lexicon) -> Description:
    """The description in an answer, in the pipeline's form (no article or final stop, noun in lower case).

    Raises:
        Unusable: ``markup``, ``instruction``, ``not_english``, ``too_long``, ``generic`` (a word such as
            'image'), ``off_topic`` (the description lacks the class word), ``not_a_name`` (a sentence) or
            ``unsupported`` (the texts do not speak of it).
    """
    description = _plain(answer.description, lexicon)
    noun = _plain(answer.class_name, lexicon).lower() or _noun(description, lexicon)
    _text(f"{noun} {description}")
    head = noun.split()[-1] if noun.split() else ""
    if len(words(description)) > MAX_DESCRIPTION_WORDS or len(words(noun)) > 3:
        raise Unusable("too_long", f"the description may have {MAX_DESCRIPTION_WORDS} words, the class name 3")
    if not words(head) or head in lexicon.words.noise | lexicon.words.media | lexicon.words.colours | {
        GENERIC,
        "subject",
    }:
        raise Unusable("generic", f"{noun or 'nothing'!r} is not the name of a thing that can be photographed")
    if not mentions(description, noun, lexicon):
        raise Unusable("off_topic", f"the description must contain the class name {noun!r}")
    before = words(description)[: _place(description, head, lexicon)]
    if set(before) & (lexicon.boundaries - {"of", "and"} | {"how", "why", "what"}):
        raise Unusable("not_a_name", "the description must be a short name such as 'red oak chair', no sentence")
    _supported(description, noun, evidence, lexicon)
    return Description(description, noun)


def _noun(description: str, lexicon: Lexicon) -> str:
    """Last word of a name, or of what stands before 'of', 'with' and the like: 'box of pencils' is a box."""
    said = words(description)
    end = next((i for i, word in enumerate(said) if i and word in lexicon.boundaries), len(said))
    return said[end - 1] if said else ""


def _place(description: str, head: str, lexicon: Lexicon) -> int:
    """Number of words before the noun."""
    singular = [lexicon.singular(word) for word in words(description)]
    return singular.index(lexicon.singular(head)) if lexicon.singular(head) in singular else len(singular)


def _supported(description: str, noun: str, evidence: Evidence, lexicon: Lexicon) -> None:
    """The noun must be in a caption, or in two alt texts (one, if no captions); half of the words in any."""
    captions = [_singulars(c, lexicon) for c in evidence.captions if has_latin(c)]
    alts = [_singulars(clean(a), lexicon) for a in evidence.alt_texts if has_latin(a)]
    if not captions and not alts:
        return  # nothing to compare with, e.g. alt texts in Chinese that the model translated
    head = lexicon.singular(noun.split()[-1])
    in_captions = sum(head in c for c in captions)
    in_alts = sum(head in a for a in alts)
    if not in_captions and in_alts < (2 if captions else 1):
        raise Unusable("unsupported", f"the texts do not speak of a {noun!r}; use a noun that they use")
    spoken = set().union(*captions, *alts)
    content = _singulars(description, lexicon) - lexicon.boundaries - lexicon.words.articles
    if sum(word in spoken for word in content) < math.ceil(len(content) / 2):
        raise Unusable("unsupported", "most words of the description are not in the texts")


def check_prompt(
    prompt: str, skill: Skill, subject: Description, seen: set[str], written: set[str], lexicon: Lexicon
) -> str:
    """The prompt in the pipeline's form: one line, no final stop.

    Args:
        seen: forms of the cluster's own texts (``unseen.seen_forms``); written: forms of the prompts so far.

    Raises:
        Unusable: ``markup``, ``instruction``, ``not_english``, ``too_long``, ``off_topic``, ``seen``,
            ``duplicate``, ``unchanged`` (says no more than the description) or ``wrong_skill``.
    """
    text = " ".join(prompt.split()).rstrip(".!;, ").strip("\"'")
    _text(text)
    if len(words(text)) > MAX_PROMPT_WORDS or len(text) > MAX_PROMPT_CHARACTERS:
        raise Unusable("too_long", f"a prompt may have {MAX_PROMPT_WORDS} words")
    if not mentions(text, subject.class_name, lexicon):
        raise Unusable("off_topic", f"every prompt must contain the words {subject.class_name!r}")
    form = unseen_form(text)
    if form in seen:
        raise Unusable("seen", f"{text!r} is a text of the pictures themselves; write new ones")
    if form in written:
        raise Unusable("duplicate", f"{text!r} is written twice; write different ones")
    if form in (unseen_form(subject.description), unseen_form(subject.class_name)):
        raise Unusable("unchanged", f"{text!r} is the subject alone; add something new")
    if not _shows(skill, text, subject, lexicon):
        raise Unusable("wrong_skill", f"{text!r} is not what was asked for")
    return text


def _shows(skill: Skill, text: str, subject: Description, lexicon: Lexicon) -> bool:
    said = words(text)
    fresh = set(said) - set(words(subject.description)) - lexicon.words.articles
    if skill == "art_style":
        return bool(fresh & _ARTS)
    if skill == "accessorization":
        return bool(fresh & {"wearing", "wears", "with", "in", "dressed", "holding", "carrying"}) and len(fresh) > 1
    if skill == "recontextualization":
        return bool(fresh & lexicon.words.prepositions) and len(fresh) > 1
    if skill == COMPOSITIONAL:
        # A place, and beside it something worn or changed: two phrases, or a phrase and a fresh word before the noun.
        phrases = len(fresh & lexicon.boundaries)
        head = lexicon.singular(words(subject.class_name)[-1])
        place = next((i for i, word in enumerate(said) if lexicon.singular(word) == head), 0)
        edited = bool(set(said[:place]) & fresh - lexicon.boundaries)
        return bool(fresh & lexicon.words.prepositions) and phrases + edited > 1
    # An edit stands before the noun ('a wet teapot') or is said of it ('a teapot made of glass').
    return bool(fresh - lexicon.boundaries)


def mentions(text: str, noun: str, lexicon: Lexicon) -> bool:
    """True if the text holds the (last word of the) noun, singular or plural."""
    head = words(noun)[-1] if words(noun) else ""
    return bool(head) and lexicon.singular(head) in _singulars(text, lexicon)


def _singulars(text: str, lexicon: Lexicon) -> set[str]:
    return {lexicon.singular(part) for word in words(text) for part in {word, *word.split("-")}}


def _text(text: str) -> None:
    if has_markup(text):
        raise Unusable("markup", "it contains a URL, HTML or brackets")
    if set(words(text)) & _ORDERS:
        raise Unusable("instruction", "it repeats an instruction instead of describing the pictures")
    if not has_latin(text) or any(ord(c) > 0x24F and c.isalpha() for c in text):
        raise Unusable("not_english", "it must be in English")


def _plain(text: str, lexicon: Lexicon) -> str:
    tokens = clean_marks(text).split()
    while tokens and tokens[0].lower() in lexicon.words.articles:
        tokens = tokens[1:]
    return " ".join(tokens)


def clean_marks(text: str) -> str:
    """One line without surrounding quotes and final stop."""
    return " ".join(text.split()).strip("\"' .,;")
