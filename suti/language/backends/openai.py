"""Backend ``openai``: any server with OpenAI's chat-completions interface (vLLM, llama.cpp, a hosted one)."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import requests

from suti import seeds
from suti.config.schema import Language
from suti.language.backends.base import BackendError, Message, Unusable, object_of, temperature_of

TIMEOUT = (10.0, 120.0)  # seconds to connect, and between bytes of the answer
ATTEMPTS = 4  # of one request, if the server is busy or the connection breaks
_BUSY = (408, 409, 429, 500, 502, 503, 504)


class OpenAIBackend:
    """Plain POST to ``{base_url}/chat/completions``. The key comes from the environment alone."""

    name = "openai"

    def __init__(self, language: Language, backoff: float = 1.0) -> None:
        """``backoff``: seconds before the second try; it doubles with every further one.

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
        self.session = requests.Session()
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
        response = self._post(body | ({"response_format": {"type": "json_object"}} if self._json_mode else {}))
        if response.status_code in (400, 422) and self._json_mode and "response_format" in response.text:
            self._json_mode = False  # an old server: the schema is in the messages as well
            response = self._post(body)
        if response.status_code in (400, 413, 422):
            raise Unusable("server_refused", f"the server refused the question: {response.text[:200]}")
        try:
            content = response.json()["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            raise Unusable("bad_reply", f"the server's reply has no choices[0].message.content ({error!r})") from error
        return object_of(content or "")

    def _post(self, body: dict[str, Any]) -> requests.Response:
        token = os.environ.get(self.language.api_key_variable, "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        trouble = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(self.backoff * 2 ** (attempt - 1))
            try:
                response = self.session.post(self.url, json=body, headers=headers, timeout=TIMEOUT)
            except requests.RequestException as error:
                trouble = f"{type(error).__name__}: {error}"
                continue
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
            if response.status_code not in _BUSY:
                return response
            trouble = f"status {response.status_code}: {response.text[:200]}"
        raise BackendError(
            f"{self.url}: no answer after {ATTEMPTS} tries ({trouble}); start the server or mend language.base_url"
        )
