"""The grammar's words: prompt phrases by skill, and the word lists that separate nouns from noise."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from suti.config.values import SINGLE, Skill

DEFAULT = Path(__file__).resolve().parents[2] / "resources" / "language" / "grammar.yaml"
Share = Annotated[float, Field(ge=0, le=1)]


class Words(BaseModel):
    """Word lists of ``grammar.yaml``; all lower case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    colours: frozenset[str]
    prepositions: frozenset[str]
    scene_verbs: frozenset[str]
    articles: frozenset[str]
    media: frozenset[str]
    noise: frozenset[str]
    plural_only: frozenset[str]
    singular_s: frozenset[str]


class Lexicon(BaseModel):
    """Contents of ``resources/language/grammar.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: dict[Skill, tuple[str, ...]]
    description_share: Share
    words: Words

    @field_validator("prompts")
    @classmethod
    def _all_skills(cls, value: dict[Skill, tuple[str, ...]]) -> dict[Skill, tuple[str, ...]]:
        empty = [skill for skill in SINGLE if not value.get(skill)]
        if empty:
            raise ValueError(f"no phrase for {', '.join(empty)}; every skill needs at least one")
        if set(value) - set(SINGLE):
            raise ValueError("compositional: it has no phrases of its own, it joins those of the other skills")
        return value

    @cached_property
    def boundaries(self) -> frozenset[str]:
        """Words that end a head noun phrase."""
        return self.words.prepositions | self.words.scene_verbs

    def singular(self, word: str) -> str:
        """Singular of an English noun by its ending: 'boots' -> 'boot'. For counting and comparing only."""
        w = self.words
        if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is", "'s")):
            return word
        if word in w.plural_only or word in w.singular_s:
            return word
        if word.endswith("ies") and len(word) > 4:
            return word[:-3] + "y"
        if word.endswith(("ches", "shes", "xes", "sses", "zzes")):
            return word[:-2]
        if word.endswith("ves") and len(word) > 4:
            return {"wolves": "wolf", "knives": "knife", "leaves": "leaf", "loaves": "loaf"}.get(word, word[:-1])
        return word[:-1]


def load(path: str | Path = DEFAULT) -> Lexicon:
    """Lexicon of a YAML file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not YAML, an unknown key, a missing list or a share outside [0, 1] (names file and field).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no grammar file; it is part of the repository under resources/language")
    try:
        # BaseLoader leaves every scalar a string: YAML's own reading makes booleans of 'on', 'off' and 'no'.
        return Lexicon.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader))
    except (yaml.YAMLError, ValidationError) as error:
        raise ValueError(f"{path}: {error}") from error
