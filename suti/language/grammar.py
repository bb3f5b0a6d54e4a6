"""The grammar: a subject's description from all (alt-text, caption) pairs of its cluster, without any model.

A caption such as 'a red teapot in the snow' is a head noun phrase and a scene. The noun of the heads is
elected by vote, modifiers are kept if most texts agree on them, and shop words, sizes, codes and web remains
are dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from suti.language.lexicon import Lexicon
from suti.language.schema import Description, Evidence
from suti.language.text import clean, has_latin, with_article, words

GENERIC = "object"  # the noun of a subject about which no text says anything in Latin script
MAX_MODIFIERS = 3


@dataclass(frozen=True)
class Phrase:
    """A parsed text: words of 'a pencil sketch of', modifiers, noun ('' for none), and what follows."""

    style: tuple[str, ...]
    modifiers: tuple[str, ...]
    noun: str
    scene: str


def parse(text: str, lexicon: Lexicon) -> Phrase:
    """Head noun phrase and scene of a caption or alt text. Total: any string has a (possibly empty) parse."""
    w = lexicon.words
    tokens = _tokens(clean(text))
    lower = [_bare(t) for t in tokens]
    style: tuple[str, ...] = ()
    # 'a photo of X', 'a pencil sketch of X', 'screenshot showing X': X is the head.
    for position, word in enumerate(lower[:7]):
        if word in ("of", "showing") and position and any(v in w.media for v in lower[:position]):
            style = tuple(lower[: position + 1])
            tokens, lower = tokens[position + 1 :], lower[position + 1 :]
            break
        if word in lexicon.boundaries:
            break
    end = _head_end(tokens, lower, lexicon)
    head = [word for word in lower[:end] if word and word not in w.articles]
    content = [word for word in head if is_content(word, lexicon)]
    noun = content[-1] if content else ""
    return Phrase(style, tuple(content[:-1]), noun, " ".join(tokens[end:]).strip(" ,.;:-"))


def _tokens(text: str) -> list[str]:
    return text.split()


def _bare(token: str) -> str:
    found = words(token)
    return "-".join(found) if found else ""


def _head_end(tokens: list[str], lower: list[str], lexicon: Lexicon) -> int:
    for position, word in enumerate(lower):
        if position and word in lexicon.boundaries:
            return position
        if word == "and" and lower[position + 1 : position + 2] and lower[position + 1] in lexicon.words.articles:
            return position
        if position < len(tokens) - 1 and tokens[position][-1] in ".,;:!?|" and word:
            return position + 1
    return len(lower)


def is_content(word: str, lexicon: Lexicon) -> bool:
    """True for a word that can describe a subject: no number, size, code, noise or single letter."""
    w = lexicon.words
    return (
        len(word) > 2
        and len(word) <= 24
        and not any(c.isdigit() for c in word)
        and word not in w.noise
        and word not in lexicon.boundaries
        and word not in w.articles
    )


def describe(evidence: Evidence, lexicon: Lexicon) -> Description:
    """Description and class noun of a cluster; ``GENERIC`` for both if no text says anything.

    The noun is elected: each caption's head counts 1, each alt text's head 1/2, and each text that merely
    holds the word 1/4; ties go to the word that was seen first. Modifiers need half of the alt texts (at
    least two), or a third of the captions (at least two of three or more), or to be said twice in the only
    alt text.
    """
    captions = [parse(c, lexicon) for c in evidence.captions if has_latin(c)]
    alts = [_alt_words(a, lexicon) for a in evidence.alt_texts]
    alts = [a for a in alts if a]
    noun = _elect(captions, [parse(a, lexicon).noun for a in evidence.alt_texts if has_latin(a)], alts, lexicon)
    if not noun:
        return Description(GENERIC, GENERIC)
    modifiers = _modifiers(captions, alts, noun, lexicon)
    return Description(" ".join([*modifiers, noun]), noun)


def _alt_words(text: str, lexicon: Lexicon) -> list[str]:
    return [word for word in words(clean(text)) if is_content(word, lexicon)]


def _elect(captions: list[Phrase], alt_heads: list[str], alts: list[list[str]], lexicon: Lexicon) -> str:
    votes: Counter[str] = Counter()  # insertion order breaks ties
    forms: dict[str, Counter[str]] = {}

    def vote(word: str, weight: float) -> None:
        key = lexicon.singular(word)
        votes[key] += weight  # type: ignore[assignment]
        forms.setdefault(key, Counter())[word] += 1

    for phrase in captions:
        if phrase.noun and phrase.noun not in lexicon.words.colours:
            vote(phrase.noun, 1.0)
    for head in alt_heads:
        if head and head not in lexicon.words.colours:
            vote(head, 0.5)
    for alt in alts:
        for key in dict.fromkeys(lexicon.singular(word) for word in alt):
            if key in votes:
                votes[key] += 0.25  # type: ignore[assignment]
    if not votes:
        return ""
    best = max(votes, key=lambda key: votes[key])
    return best if best in forms[best] or captions else forms[best].most_common(1)[0][0]


def _modifiers(captions: list[Phrase], alts: list[list[str]], noun: str, lexicon: Lexicon) -> list[str]:
    # A caption about another noun (the captioner was wrong) has no say in the adjectives.
    heads = [p.modifiers for p in captions if lexicon.singular(p.noun) == lexicon.singular(noun)]
    # A caption that leaves an adjective out does not deny it, so a third of the captions is enough.
    from_heads = _agreed(heads, len(heads), lambda n: max(2 if n > 2 else 1, -(-n // 3)))
    from_alts = _agreed(alts, len(alts), lambda n: max(2, -(-n // 2)))
    if len(alts) == 1:
        from_alts = {word: 1.0 for word, count in Counter(alts[0]).items() if count > 1}
        # 'blue willow teapot' alone: the words right before the noun belong to it.
        before = [lexicon.singular(word) for word in alts[0]]
        if noun in before:
            position = before.index(noun)
            from_alts.update((word, 1.0) for word in alts[0][max(0, position - 2) : position])
    exclude = {noun, lexicon.singular(noun), noun + "s"}
    specific = [word for word in from_alts if word not in from_heads and word not in exclude]
    adjectives = [word for word in from_heads if word not in exclude]
    colours = lexicon.words.colours
    support = {word: from_heads.get(word, 0.0) + from_alts.get(word, 0.0) for word in (*specific, *adjectives)}
    shades = [word for word in support if word in colours]
    if len(shades) > 1 and not _joined(heads, shades):
        # The texts disagree on one colour; the best supported is kept.
        best = max(shades, key=lambda word: support[word])
        shades = [best]
    named = [word for word in specific if word not in colours][:2]
    plain = [word for word in adjectives if word not in colours]
    patterns = plain[: max(0, MAX_MODIFIERS - len(named) - min(1, len(shades)))]
    ordered = [*named, *_in_order(shades[:2] + patterns, heads)]
    if len(shades) > 1:  # 'red and white'
        second = max(ordered.index(shades[0]), ordered.index(shades[1]))
        if {ordered[second - 1], ordered[second]} == set(shades[:2]):
            ordered.insert(second, "and")
    return ordered


def _agreed(texts: Iterable[Iterable[str]], count: int, needed: Callable[[int], int]) -> dict[str, float]:
    """Words that enough texts hold, with the share of texts, in order of first appearance."""
    seen: Counter[str] = Counter()
    for text in texts:
        seen.update(list(dict.fromkeys(text)))
    return {word: n / count for word, n in seen.items() if n >= needed(count)}


def _joined(heads: list[tuple[str, ...]], shades: list[str]) -> bool:
    """True if half of the heads name the first two colours together ('red white teapot')."""
    both = sum(1 for head in heads if shades[0] in head and shades[1] in head)
    return bool(heads) and 2 * both >= len(heads)


def _in_order(chosen: list[str], heads: list[tuple[str, ...]]) -> list[str]:
    """Words in the order in which the captions say them; others first."""
    place = {word: sum(h.index(word) for h in heads if word in h) / n
             for word in chosen if (n := sum(word in h for h in heads))}  # fmt: skip
    return sorted(dict.fromkeys(chosen), key=lambda word: place.get(word, -1.0))


def refined_text(description: Description, caption: str, lexicon: Lexicon) -> str:
    """Refined caption of one picture: the description and the scene of the picture's own caption.

    'a toy on the table' of a 'duggee toy' becomes 'a duggee toy on the table'; 'pixel art of a toy' becomes
    'pixel art of a duggee toy'. The scene is never invented, so a text says nothing that no caption says.
    """
    phrase = parse(caption, lexicon) if has_latin(caption) else Phrase((), (), "", "")
    subject = with_article(description.description, is_plural(description.class_name, lexicon))
    style = " ".join(phrase.style) if "of" in phrase.style and _is_art(phrase.style) else ""
    return " ".join(part for part in (style, subject, phrase.scene) if part)[:200]


def _is_art(style: tuple[str, ...]) -> bool:
    """True for 'a pencil sketch of', false for 'a photo of', which says nothing."""
    return bool({"painting", "sketch", "drawing", "print", "illustration", "art", "rendering", "render"} & set(style))


def is_plural(noun: str, lexicon: Lexicon) -> bool:
    """True for nouns that take no article here: 'glasses', 'boots'."""
    return noun in lexicon.words.plural_only or lexicon.singular(noun) != noun
