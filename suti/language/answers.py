"""Answers of language models, kept by the content of their question: nothing is asked twice, whatever ends a job.

One file of JSON lines a job, ``{"address": ..., "answer": ...}``, appended to as answers come. A line that a killed job
left half written is passed over.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suti import seeds
from suti.config.schema import Language
from suti.io.finished import content_address
from suti.language.backends.base import Backend, Message, Unusable, temperature_of


class KeptAnswers:
    """A ``Backend`` that looks into its file before it asks the backend behind it.

    An answer that is no JSON object is kept as well, because the same question would get it again. What the server
    refused, or could not answer, is not kept.
    """

    def __init__(self, backend: Backend, language: Language, path: Path) -> None:
        self.name, self.model, self.concurrency = backend.name, backend.model, backend.concurrency
        self.backend, self.language, self.path = backend, language, path
        self.asked = 0
        self._lock = threading.Lock()
        self._answers = _read(path)

    def complete(
        self, messages: Sequence[Message], json_schema: dict[str, Any], key: tuple[seeds.Key, ...] = ()
    ) -> dict[str, Any]:
        """See ``Backend.complete``."""
        what = [self.name, self.model, list(messages), json_schema, list(key), temperature_of(self.language, key),
                self.language.max_new_tokens]  # fmt: skip
        address = content_address(what)
        if address not in self._answers:
            self._keep(address, self._ask(messages, json_schema, key))
        answer = self._answers[address]
        if "unusable" in answer:
            raise Unusable(*answer["unusable"])
        value: dict[str, Any] = answer["value"]
        return value

    def _ask(
        self, messages: Sequence[Message], json_schema: dict[str, Any], key: tuple[seeds.Key, ...]
    ) -> dict[str, Any]:
        try:
            return {"value": self.backend.complete(messages, json_schema, key)}
        except Unusable as error:
            if error.reason != "no_json":
                raise
            return {"unusable": [error.reason, error.detail, error.answer]}

    def _keep(self, address: str, answer: dict[str, Any]) -> None:
        line = json.dumps({"address": address, "answer": answer}, ensure_ascii=False) + "\n"
        with self._lock:
            self.asked += 1
            self._answers[address] = answer
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8", errors="surrogatepass") as file:
                file.write(line)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Answers of a file by address; the last of several holds, and lines that are not whole are passed over."""
    answers: dict[str, dict[str, Any]] = {}
    if not path.exists():
        return answers
    with path.open("r+b") as file:
        data = file.read()
        if data and not data.endswith(b"\n"):
            file.write(b"\n")  # what a killed job left; the next line begins a new one
    for line in data.splitlines():
        try:
            row = json.loads(line)
            if {"value", "unusable"} & set(row["answer"]):
                answers[row["address"]] = row["answer"]
        except (ValueError, KeyError, TypeError):
            continue
    return answers
