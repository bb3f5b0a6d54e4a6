"""The openai backend against a tiny server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from suti.config.schema import Language
from suti.language import lexicon as lexicons
from suti.language.answers import KeptAnswers
from suti.language.backends.base import BackendError, Unusable
from suti.language.backends.openai import OpenAIBackend
from suti.language.in_flight import in_flight
from suti.language.schema import Description, Evidence, Log
from suti.language.writers import ModelWriter

QUESTION = [{"role": "user", "content": "?"}]
ANSWER = '```json\n{"description": "black cat", "class_name": "cat"}\n```'
GOOD = {"choices": [{"message": {"content": ANSWER}}]}


class Server(ThreadingHTTPServer):
    """Answers with the queued ``(status, body)`` pairs, the last for ever; remembers what it was asked."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.gate: threading.Barrier | None = None
        self.replies: list[tuple[int, Any]] = [(200, GOOD)]
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.gate is not None:
            self.server.gate.wait()
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


def backend(server: Server, patience: float = 0.2, **settings: Any) -> OpenAIBackend:
    address = f"http://127.0.0.1:{server.server_port}/v1/"
    language = Language(backend="openai", model="m", base_url=address, api_key_variable="SUTI_TEST_KEY", **settings)
    return OpenAIBackend(language.model_copy(update={"patience": patience}), backoff=0.01)


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
        (500, r"no answer within language.patience of 0\.2 s \(status 500: no\)"),
    ],
)
def test_trouble_with_the_server_stops_the_run(server: Server, status: int, message: str) -> None:
    server.replies = [(status, "no")]
    with pytest.raises(BackendError, match=message):
        backend(server).complete(QUESTION, {})


def test_connection_refused_is_named() -> None:
    language = Language(backend="openai", model="m", base_url="http://127.0.0.1:9/v1", patience=0)
    with pytest.raises(BackendError, match=r"127\.0\.0\.1:9.*start the server"):
        OpenAIBackend(language, backoff=0.0).complete(QUESTION, {})


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ((400, "context too long"), "server_refused"),
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


def test_a_page_of_a_proxy_is_no_answer(server: Server) -> None:
    """With status 200: the server is away, and the grammar must not write all rows in its place."""
    server.replies = [(200, "<html>maintenance</html>"), (200, GOOD)]
    assert backend(server).complete(QUESTION, {})["class_name"] == "cat"
    server.replies = [(200, "<html>maintenance</html>")]
    with pytest.raises(BackendError, match=r"status 200 .* as a proxy answers"):
        backend(server).complete(QUESTION, {})


def test_a_server_that_restarts_is_waited_for(server: Server) -> None:
    port = server.server_port
    asked = backend(server, patience=30)
    server.shutdown()
    server.server_close()
    late: list[Server] = []

    def start() -> None:
        late.append(Server(port))
        late[0].serve_forever(poll_interval=0.01)

    timer = threading.Timer(0.3, start)
    timer.daemon = True
    timer.start()
    assert asked.complete(QUESTION, {})["class_name"] == "cat"
    late[0].shutdown()
    late[0].server_close()


def cluster(number: int) -> Evidence:
    return Evidence(f"s{number:03d}", ("a",), ("",), ("a black cat",))


def test_questions_are_in_flight_together_and_rows_keep_their_order(server: Server) -> None:
    """The server answers no question before four wait, so one at a time would never end."""
    server.gate = threading.Barrier(4, timeout=20)
    asked = backend(server, concurrency=4)
    writer = ModelWriter(asked, 0, asked.language, lexicons.load())
    clusters, log = [cluster(n) for n in range(12)], Log("openai")

    def describe(evidence: Evidence, own: Log) -> tuple[str, Description]:
        return evidence.subject_id, writer.describe(evidence, own)

    found = in_flight(clusters, describe, log, writer.concurrency, 1.0, "subjects")
    assert [name for name, _ in found] == [c.subject_id for c in clusters]
    assert (log.requests, log.usable_first, len(server.asked)) == (12, 12, 12)


def test_too_many_fallbacks_end_the_job(server: Server) -> None:
    server.replies = [(200, {"choices": []})]
    asked = backend(server, concurrency=2, max_retries=0)
    writer = ModelWriter(asked, 0, asked.language, lexicons.load())
    log = Log("openai", "m")
    with pytest.raises(BackendError, match=r"20 of 20 .*'m' \(bad_reply 20\).*max_fallback_share of 0.5"):
        in_flight([cluster(n) for n in range(40)], writer.describe, log, 2, writer.most_fallbacks, "subjects")
    assert len(server.asked) < 40
    allowed = Log("openai", "m")
    assert len(in_flight([cluster(n) for n in range(40)], writer.describe, allowed, 2, 1.0, "subjects")) == 40


def test_answers_are_kept_and_asked_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "answers" / "0.jsonl"
    asked = backend(server)

    def kept(**changes: Any) -> KeptAnswers:
        language = asked.language.model_copy(update=changes)
        return KeptAnswers(OpenAIBackend(language, backoff=0.01), language, path)

    first = kept()
    assert first.complete(QUESTION, {}, (0, "s", 0)) == first.complete(QUESTION, {}, (0, "s", 0))
    first.complete(QUESTION, {}, (0, "s", 1))
    assert len(server.asked) == first.asked == 2
    with path.open("ab") as file:
        file.write(b'{"address": "torn')  # killed while it wrote
    again = kept()
    assert again.complete(QUESTION, {}, (0, "s", 1))["class_name"] == "cat" and len(server.asked) == 2
    again.complete([{"role": "user", "content": "another"}], {}, (0, "s", 1))
    kept(temperature=0.1).complete(QUESTION, {}, (0, "s", 1))
    assert len(server.asked) == 4
    assert kept().complete([{"role": "user", "content": "another"}], {}, (0, "s", 1)) and len(server.asked) == 4

    server.replies = [(200, {"choices": [{"message": {"content": "no object"}}]})]
    for _ in range(2):
        with pytest.raises(Unusable, match="no_json"):
            kept().complete(QUESTION, {}, (1, "s", 0))
    server.replies = [(200, {"choices": []})]
    for _ in range(2):
        with pytest.raises(Unusable, match="bad_reply"):
            kept().complete(QUESTION, {}, (2, "s", 0))
    assert len(server.asked) == 4 + 1 + 2
