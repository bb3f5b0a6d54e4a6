"""Captions and prompts of the world, and the exact way back from a prompt to what it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from suti.world.alttext import alt_text_words, split_words
from suti.world.scenes import Scene
from suti.world.subjects import Subject, colour_name
from suti.world.vocabulary import (
    ACCESSORIES,
    BACKGROUNDS,
    CLASSES,
    COLOURS,
    DECALS,
    EFFECT_WORDS,
    EFFECTS,
    PATTERN_WORDS,
    PHOTO,
    SKETCH,
    STYLES,
)

_RESHAPING: Final = ("a red {}", "a purple {}", *EFFECTS.values())
DREAMBENCH_OBJECT_TEMPLATES: Final = tuple(f"a {{}} {place}" for place in BACKGROUNDS.values()) + _RESHAPING
DREAMBENCH_LIVE_TEMPLATES: Final = (
    tuple(f"a {{}} {place}" for place in list(BACKGROUNDS.values())[:10])
    + tuple(f"a {{}} {worn}" for worn in ACCESSORIES.values())
    + _RESHAPING
)


@dataclass(frozen=True)
class PromptTruth:
    """What a prompt asks for; None where it says nothing. `pattern` is a description, not an edit."""

    class_name: str
    background: str | None = None
    accessory: str | None = None
    style: str | None = None
    recolour: str | None = None
    effect: str | None = None
    pattern: str | None = None


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def phrase(
    class_name: str,
    *,
    background: str | None = None,
    accessory: str | None = None,
    style: str | None = None,
    recolour: str | None = None,
    effect: str | None = None,
    pattern: str | None = None,
) -> str:
    """The prompt for these fields, e.g. 'a pencil sketch of a red cat wearing a red hat on the beach'."""
    noun = [class_name]
    if pattern is not None:
        noun.insert(0, PATTERN_WORDS[pattern])
    if recolour is not None:
        noun.insert(0, recolour)
    if effect is not None:
        noun.insert(0, EFFECT_WORDS[effect])
    parts = [_with_article(" ".join(noun))]
    if style is not None and style != PHOTO:
        parts.insert(0, STYLES[style])
    if accessory is not None:
        parts.append(ACCESSORIES[accessory])
    if background is not None:
        parts.append(BACKGROUNDS[background])
    return " ".join(parts)


def composition(rng: np.random.Generator, requests: int, *, own_colour: str | None = None) -> dict[str, str]:
    """Fields of a prompt with two or three requests, one of them a place: keywords of `phrase`.

    As DreamBench-v2's compositional prompts (section 5.1) in this world: with two requests an accessory, an effect
    or a recolouring, and a place; with three an accessory, an effect and a place. No style: of a styled picture no
    place is asked.

    Args:
        requests: 2 or 3.
        own_colour: name of the subject's colour, which is no recolouring.

    Raises:
        ValueError: another number of requests.
    """
    if requests not in (2, 3):
        raise ValueError(f"requests: {requests}, expected 2 or 3")
    values = {
        "accessory": str(rng.choice(list(ACCESSORIES))),
        "effect": str(rng.choice(list(EFFECTS))),
        "recolour": str(rng.choice([name for name in COLOURS if name != own_colour])),
        "background": str(rng.choice(list(BACKGROUNDS))),
    }
    first = str(rng.choice(["accessory", "effect", "recolour"]))
    names = (first, "background") if requests == 2 else ("accessory", "effect", "background")
    return {name: values[name] for name in names}


def scene_phrase(subject: Subject, scene: Scene) -> str:
    """The full prompt of a scene: everything that is not the subject's own look."""
    return phrase(
        subject.class_name,
        background=scene.place,
        accessory=scene.accessory,
        style=scene.style,
        recolour=scene.recolour,
        effect=scene.effect,
    )


def caption(subject: Subject, scene: Scene, rng: np.random.Generator, *, attributes: float = 0.5) -> str:
    """A true caption, which names all that a prompt can ask for.

    The colour and, independently, the pattern are named with probability `attributes`; of a pencil sketch the colour
    is not. The place is always named: pictures whose caption names none are taken in the studio. A recolouring is
    always named.
    """
    said_colour, said_pattern = rng.uniform(size=2) < attributes
    said_colour = said_colour and scene.style != SKETCH
    colour = scene.recolour or (colour_name(subject.primary) if said_colour else None)
    pattern = subject.pattern if said_pattern and subject.pattern != "plain" else None
    return phrase(
        subject.class_name,
        background=scene.place,
        accessory=scene.accessory,
        style=scene.style,
        recolour=colour,
        effect=scene.effect,
        pattern=pattern,
    )


def describe(subject: Subject) -> str:
    """The short specific description of a subject, e.g. 'red and white striped teapot with a yellow star'."""
    colours = colour_name(subject.primary)
    pattern = PATTERN_WORDS[subject.pattern]
    words = f"{colours} and {colour_name(subject.secondary)} {pattern} {subject.class_name}"
    if subject.decal != "none":
        words += f" with {_with_article(f'{colour_name(subject.accent)} {subject.decal}')}"
    return words


def parse(prompt: str) -> PromptTruth:
    """The inverse of `phrase`. Raises ValueError for a prompt that the world cannot make."""
    rest = " ".join(prompt.split())
    found: dict[str, str] = {}
    for name, words in STYLES.items():
        if rest.lower().startswith(words + " "):
            found["style"], rest = name, rest[len(words) + 1 :]
    article, _, rest = rest.partition(" ")
    if article.lower() not in ("a", "an"):
        raise ValueError(f"prompt: {prompt!r} has no 'a' or 'an' before its subject; write 'a teapot in the snow'")
    options = (
        ("effect", {words: name for name, words in EFFECT_WORDS.items()}),
        ("recolour", {name: name for name in COLOURS}),
        ("pattern", {words: name for name, words in PATTERN_WORDS.items()}),
        ("class_name", {name: name for name in CLASSES}),
        ("accessory", {words: name for name, words in ACCESSORIES.items()}),
        ("background", {words: name for name, words in BACKGROUNDS.items()}),
    )
    for field, names in options:
        for words, name in names.items():
            if (rest + " ").lower().startswith(words.lower() + " "):
                found[field], rest = name, rest[len(words) :].strip()
                break
    if "class_name" not in found or rest:
        raise ValueError(f"prompt: {prompt!r} is not of this world from {rest!r} on; see suti/world/vocabulary.py")
    return PromptTruth(**found)


def words() -> list[str]:
    """Every word of captions, templates, descriptions and alt texts, in lower case and sorted."""
    texts = [
        "a an and with",
        *CLASSES,
        *BACKGROUNDS.values(),
        *ACCESSORIES.values(),
        *STYLES.values(),
        *COLOURS,
    ]
    texts += [*EFFECT_WORDS.values(), *PATTERN_WORDS.values(), *(d for d in DECALS if d != "none"), PHOTO]
    return sorted(alt_text_words().union(*(split_words(text) for text in texts)))
