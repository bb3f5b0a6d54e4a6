"""The openai backend against a tiny server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from suti.config.schema import Language
from suti.language import lexicon as lexicons
from suti.language.backends.base import BackendError, Unusable
from suti.language.backends.openai import OpenAIBackend
from suti.language.schema import Description, Evidence, Log
from suti.language.writers import ModelWriter

QUESTION = [{"role": "user", "content": "?"}]
ANSWER = '```json\n{"description": "black cat", "class_name": "cat"}\n```'
GOOD = {"choices": [{"message": {"content": ANSWER}}]}


class Server(ThreadingHTTPServer):
    """Answers with the queued ``(status, body)`` pairs, the last for ever; remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[tuple[int, Any]] = [(200, GOOD)]
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers.get("Authorization"), body))
        status, reply = self.server.replies.pop(0) if len(self.server.replies) > 1 else self.server.replies[0]
        data = reply.encode() if isinstance(reply, str) else json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


def backend(server: Server, **settings: Any) -> OpenAIBackend:
    address = f"http://127.0.0.1:{server.server_port}/v1/"
    language = Language(backend="openai", model="m", base_url=address, api_key_variable="SUTI_TEST_KEY", **settings)
    return OpenAIBackend(language, backoff=0.01)


def test_a_question_and_its_answer(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUTI_TEST_KEY", "abc")
    asked = backend(server)
    assert asked.complete(QUESTION, {}, (0, "s", 0))["class_name"] == "cat"
    path, authorization, body = server.asked[0]
    assert path == "/v1/chat/completions" and authorization == "Bearer abc"
    assert body["model"] == "m" and body["messages"] == QUESTION
    assert body["response_format"] == {"type": "json_object"}
    asked.complete(QUESTION, {}, (0, "s", 0))
    asked.complete(QUESTION, {}, (0, "s", 1))
    first, second, third = (body["seed"] for _, _, body in server.asked)
    assert first == second != third


def test_a_busy_server_is_asked_again(server: Server) -> None:
    server.replies = [(503, "busy"), (429, "slow down"), (200, GOOD)]
    assert backend(server).complete(QUESTION, {})["description"] == "black cat"
    assert len(server.asked) == 3


def test_a_server_without_json_mode(server: Server) -> None:
    server.replies = [(400, {"error": "unknown field response_format"}), (200, GOOD)]
    asked = backend(server)
    asked.complete(QUESTION, {})
    asked.complete(QUESTION, {})
    assert ["response_format" in body for _, _, body in server.asked] == [True, False, False]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "SUTI_TEST_KEY"),
        (403, "SUTI_TEST_KEY"),
        (404, r"base_url.*/v1"),
        (500, "no answer after 4 tries"),
    ],
)
def test_trouble_with_the_server_stops_the_run(server: Server, status: int, message: str) -> None:
    server.replies = [(status, "no")]
    with pytest.raises(BackendError, match=message):
        backend(server).complete(QUESTION, {})


def test_connection_refused_is_named() -> None:
    language = Language(backend="openai", model="m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(BackendError, match=r"127\.0\.0\.1:9.*start the server"):
        OpenAIBackend(language, backoff=0.0).complete(QUESTION, {})


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ((400, "context too long"), "server_refused"),
        ((200, "not json"), "bad_reply"),
        ((200, {"choices": []}), "bad_reply"),
        ((200, {"choices": [{"message": {"content": "no object"}}]}), "no_json"),
        ((200, {"choices": [{"message": {"content": None}}]}), "no_json"),
    ],
)
def test_bad_replies_fall_back_and_are_counted(server: Server, reply: tuple[int, Any], reason: str) -> None:
    server.replies = [reply]
    asked = backend(server, max_retries=0)
    with pytest.raises(Unusable, match=reason):
        asked.complete(QUESTION, {})
    writer = ModelWriter(asked, 0, asked.language, lexicons.load())
    log = Log("openai")
    found = writer.describe(Evidence("s", ("a",), ("",), ("a black cat",)), log)
    assert found == Description("black cat", "cat", fallback=True) and dict(log.fallbacks) == {reason: 1}
