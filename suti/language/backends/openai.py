"""Backend ``openai``: any server with OpenAI's chat-completions interface (vLLM, llama.cpp, a hosted one)."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from suti import seeds
from suti.config.schema import Language
from suti.language.backends.base import BackendError, Message, Unusable, object_of, temperature_of

TIMEOUT = (10.0, 120.0)  # seconds to connect, and between bytes of the answer
LONGEST_PAUSE = 30.0  # seconds between two tries of a request
_BUSY = (408, 409, 429, 500, 502, 503, 504)


class OpenAIBackend:
    """Plain POST to ``{base_url}/chat/completions``. The key comes from the environment alone."""

    name = "openai"

    def __init__(self, language: Language, backoff: float = 1.0) -> None:
        """``backoff``: seconds before the second try; it doubles with every further one, up to ``LONGEST_PAUSE``.

        Raises:
            BackendError: ``language.base_url`` is empty or no http address.
        """
        if not language.base_url.startswith(("http://", "https://")):
            raise BackendError(
                f"language.base_url: {language.base_url!r}, expected the server's address, e.g. http://127.0.0.1:8000/v1"
            )
        self.model = language.model
        self.language = language
        self.backoff = backoff
        self.url = language.base_url.rstrip("/") + "/chat/completions"
        self.concurrency = language.concurrency
        self.session = requests.Session()
        connections = HTTPAdapter(pool_connections=1, pool_maxsize=language.concurrency)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, connections)
        self._json_mode = True

    def complete(
        self, messages: Sequence[Message], json_schema: dict[str, Any], key: tuple[seeds.Key, ...] = ()
    ) -> dict[str, Any]:
        """See ``Backend.complete``. The seed is sent; whether it is honoured is the server's matter."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "temperature": temperature_of(self.language, key),
            "max_tokens": self.language.max_new_tokens,
            "seed": seeds.stable_hash(*key, bits=32) >> 1,
        }
        json_mode = self._json_mode
        reply = self._post(body | ({"response_format": {"type": "json_object"}} if json_mode else {}))
        if json_mode and isinstance(reply, requests.Response) and "response_format" in reply.text:
            self._json_mode = False  # an old server: the schema is in the messages as well
            reply = self._post(body)
        if isinstance(reply, requests.Response):
            raise Unusable("server_refused", f"the server refused the question: {_line(reply.text)}")
        try:
            content = reply["choices"][0]["message"]["content"]
        except (LookupError, TypeError) as error:
            raise Unusable("bad_reply", f"the server's reply has no choices[0].message.content ({error!r})") from error
        return object_of(content or "")

    def _post(self, body: dict[str, Any]) -> Any:
        """The server's reply, parsed: its completion. Waits for a server that is away or busy, up to ``patience``."""
        token = os.environ.get(self.language.api_key_variable, "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        pause, end = self.backoff, time.monotonic() + self.language.patience
        while True:
            asked_to_wait = 0.0
            try:
                response = self.session.post(self.url, json=body, headers=headers, timeout=TIMEOUT)
            except requests.RequestException as error:
                trouble = f"{type(error).__name__}: {error}"
            else:
                self._refuse(response)
                if response.status_code not in _BUSY:
                    if response.status_code >= 400:
                        return response
                    try:
                        return response.json()
                    except ValueError:
                        kind = response.headers.get("Content-Type", "no type")
                        trouble = f"status {response.status_code} with {kind} and no JSON, as a proxy answers"
                else:
                    trouble = f"status {response.status_code}: {_line(response.text)}"
                    asked_to_wait = _seconds(response.headers.get("Retry-After", ""))
            pause = max(pause, min(asked_to_wait, LONGEST_PAUSE))
            if time.monotonic() + pause > end:
                raise BackendError(
                    f"{self.url}: no answer within language.patience of {self.language.patience:g} s ({trouble}); "
                    "start the server or mend language.base_url, then run again: answers so far are kept"
                )
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _refuse(self, response: requests.Response) -> None:
        """Raise ``BackendError`` for a reply that no patience changes."""
        if response.status_code in (401, 403):
            raise BackendError(
                f"{self.url}: the server answered {response.status_code}; put a valid key into the "
                f"environment variable {self.language.api_key_variable} (language.api_key_variable)"
            )
        if response.status_code in (404, 405):
            raise BackendError(
                f"{self.url}: the server answered {response.status_code}; language.base_url should end "
                f"in the version, e.g. /v1, and serve the model {self.model!r}"
            )


def _seconds(text: str) -> float:
    """Seconds of a Retry-After header; 0 for a date or nothing."""
    return float(text) if text.isdecimal() else 0.0


def _line(text: str) -> str:
    """The start of a server's words in one line."""
    return " ".join(text[:200].split())
