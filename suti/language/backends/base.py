"""What all language models look like to the stage, and how a question is put, checked, and put again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from suti import seeds
from suti.config.schema import Language
from suti.language.parsing import parse_object
from suti.language.schema import Log

Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": text}
RETRY_WARMER = 0.3
Answer = TypeVar("Answer", bound=BaseModel)


class Unusable(Exception):
    """An answer that cannot be used: ``reason`` is what is counted, ``detail`` what the model is told."""

    def __init__(self, reason: str, detail: str, answer: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.answer = reason, detail, answer


class BackendError(RuntimeError):
    """The model cannot be reached or loaded. Not a matter for the grammar: the run stops with it."""


class Backend(Protocol):
    """A language model that answers in JSON; ``complete`` may be called from ``concurrency`` threads at a time."""

    name: str
    model: str
    concurrency: int
    """Questions that may be in flight at a time."""

    def complete(
        self, messages: Sequence[Message], json_schema: dict[str, Any], key: tuple[seeds.Key, ...] = ()
    ) -> dict[str, Any]:
        """The model's answer as an object.

        Args:
            messages: the conversation, in the roles of the chat format.
            json_schema: schema of the object wanted; a server or a decoder may use it, the caller validates
                anyway.
            key: of the random draws of this answer, e.g. ``(seed, "subjects", subject_id, attempt)``.

        Raises:
            Unusable: the answer holds no JSON object.
            BackendError: the model cannot be reached or loaded.
        """
        ...


def temperature_of(language: Language, key: tuple[seeds.Key, ...]) -> float:
    """Sampling temperature of an attempt: each retry adds ``RETRY_WARMER``, or a small model says the same again.

    Args:
        key: of the answer; its last part is the attempt, counted from 0. Greedy decoding (0) stays greedy.
    """
    attempt = key[-1] if key and isinstance(key[-1], int) else 0
    return language.temperature + RETRY_WARMER * attempt if language.temperature > 0 else 0.0


def object_of(text: str) -> dict[str, Any]:
    """The JSON object in a reply; ``Unusable`` with reason ``no_json`` if there is none."""
    value = parse_object(text)
    if value is None:
        raise Unusable("no_json", "it is not a JSON object", text)
    return value


def ask(
    backend: Backend,
    messages: Sequence[Message],
    answer_type: type[Answer],
    check: Callable[[Answer], None],
    max_retries: int,
    log: Log,
    *key: seeds.Key,
) -> Answer | None:
    """Put one question, up to ``1 + max_retries`` times, each time with what was wrong with the last answer.

    Args:
        check: raises ``Unusable`` for an answer that fits the schema but cannot be used.
        log: counts the question, its outcome, and every rejected attempt by reason.
        key: of the random draws; the attempt is added to it.

    Returns:
        The first usable answer, or None (counted under ``fallbacks`` by the reason of the last attempt).
    """
    log.requests += 1
    schema = answer_type.model_json_schema()
    conversation = list(messages)
    reason = ""
    for attempt in range(max_retries + 1):
        value: dict[str, Any] = {}
        try:
            value = backend.complete(conversation, schema, (*key, attempt))
            answer = answer_type.model_validate(value)
            check(answer)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the object"
            failure = Unusable("schema", f"{place}: {first['msg']}", str(value))
        except Unusable as error:
            failure = error
        else:
            if attempt == 0:
                log.usable_first += 1
            else:
                log.usable_after_retry += 1
            return answer
        reason = failure.reason
        log.rejected[reason] += 1
        # In the question itself: every turn before it stays as it was, so a model may remember what it made
        # of them.
        conversation[-1] = {
            "role": "user",
            "content": f"{messages[-1]['content']}\n\nThis answer cannot be used: {failure.detail[:300]}. "
            f"Write another one, as a JSON object. The bad one was: {(failure.answer or str(value))[:300]}",
        }
    log.fallbacks[reason] += 1
    return None
