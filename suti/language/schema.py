"""What the language stage reads and writes: evidence, answers of models, and the log of one part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from suti.config.values import Skill


@dataclass(frozen=True)
class Evidence:
    """All (alt-text, caption) pairs of one cluster, in the order of its pictures. A missing text is ''."""

    subject_id: str
    image_ids: tuple[str, ...]
    alt_texts: tuple[str, ...]
    captions: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """Captions and alt texts that say anything."""
        return tuple(t for t in (*self.captions, *self.alt_texts) if t.strip())


@dataclass(frozen=True)
class Description:
    """Short specific description of a subject, its noun, and whether the grammar stood in for a model."""

    description: str
    class_name: str
    fallback: bool = False


@dataclass(frozen=True)
class Prompt:
    """One unseen prompt ``p_s``, its skill, and whether the grammar had to stand in for a model."""

    prompt: str
    skill: Skill
    fallback: bool = False


class SubjectAnswer(BaseModel):
    """A model's answer to 'what is the subject of these pictures?'.

    A large model names the class itself; if it does not, the class is the description's noun.
    """

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    description: str = Field(min_length=2, max_length=90)
    class_name: str = Field(default="", max_length=40)


class PromptsAnswer(BaseModel):
    """A model's answer to 'write unseen prompts of this skill'."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    prompts: list[str] = Field(min_length=1, max_length=64)


@dataclass
class Log:
    """Counts of one part. Everything but ``timing`` depends on the input and the settings alone.

    requests: questions put to a model; usable_first, usable_after_retry: answered so; fallbacks: questions
        that the
    grammar answered, by the reason of the last attempt; rejected: every unusable attempt, by reason;
    shortfalls: rows that could not be written at all, by reason; generic: subjects about which no text says
        anything.
    """

    backend: str
    model: str = ""
    subjects: int = 0
    rows: int = 0
    requests: int = 0
    usable_first: int = 0
    usable_after_retry: int = 0
    generic: int = 0
    fallbacks: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    shortfalls: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, other: Log) -> None:
        """Add the counts of another log; backend, model and seconds stay."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _REASONS:
            getattr(self, name).update(getattr(other, name))

    def as_json(self) -> dict[str, Any]:
        """The log as a JSON object; seconds stand alone under ``timing``."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            **{name: dict(sorted(getattr(self, name).items())) for name in _REASONS},
            "backend": self.backend,
            "model": self.model,
            "timing": {"seconds": round(self.seconds, 3)},
        }


_COUNTS = ("subjects", "rows", "requests", "usable_first", "usable_after_retry", "generic")
_REASONS = ("fallbacks", "rejected", "shortfalls")


def add_logs(logs: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Sum of the logs of several parts, with the share of usable answers (null where no model was asked)."""
    total: dict[str, Any] = {name: sum(int(log[name]) for log in logs) for name in _COUNTS}
    for name in _REASONS:
        counter: Counter[str] = Counter()
        for log in logs:
            counter.update(log[name])
        total[name] = dict(sorted(counter.items()))
    total["backend"] = ", ".join(sorted({str(log["backend"]) for log in logs}))
    total["model"] = ", ".join(sorted({str(log["model"]) for log in logs if log["model"]}))
    usable = total["usable_first"] + total["usable_after_retry"]
    total["usable_share"] = round(usable / total["requests"], 4) if total["requests"] else None
    return total
