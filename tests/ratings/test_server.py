"""The server over real HTTP: what it refuses, what it never serves, and that a killed one has lost nothing."""

from __future__ import annotations

import http.client
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from suti.cli.main import main
from suti.ratings import answers, server, sources
from suti.ratings.prepare import prepare
from suti.ratings.schemes import BINARY, PAIRWISE
from suti.ratings.store import Store
from suti.ratings.study import DATABASE, Study, load, load_key
from suti.seeds import stable_hash
from tests.ratings.serving import PATIENCE, Client, Process

TOKEN = "0123456789abcdef0123"


@pytest.fixture
def study(material: sources.Material, tmp_path: Path) -> Study:
    return prepare(material, BINARY, tmp_path / "study", seed=5).study


def running(study: Study, token: str | None = None) -> Iterator[Client]:
    store = Store(study.folder / DATABASE, study.id)
    listener = server.bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    hosts = None if token else frozenset({f"127.0.0.1:{port}"})
    app = server.make_app(study, store, hosts, token)
    served = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", server_header=False))
    thread = threading.Thread(target=served.run, kwargs={"sockets": [listener]})
    thread.start()
    yield Client(port)
    served.should_exit = True
    thread.join(PATIENCE)
    store.close()


@pytest.fixture
def client(study: Study) -> Iterator[Client]:
    yield from running(study)


@pytest.fixture
def guarded(study: Study) -> Iterator[Client]:
    yield from running(study, TOKEN)


def test_no_route_serves_a_file_outside_the_study(client: Client, study: Study) -> None:
    name = next(iter(study.items.values())).candidates[0]
    status, headers, data = client("GET", f"/images/{name}.png")
    assert (status, headers["content-type"], data[:4]) == (200, "image/png", b"\x89PNG")
    for path in (
        "/images/../key.json", "/images/..%2fkey.json", "/images/%2e%2e/key.json", "/images/....//key.json",
        f"/images/{name}", f"/images/{name}.png/", f"/images//{name}.png", f"/images/{name}.PNG", "/images/",
        "/key.json", "/study.json", "/ratings.sqlite", "//key.json", "/../key.json", "/%2e%2e/%2e%2e/etc/passwd",
        "/page.css/../../key.json", "/images/%00.png", "/images/" + "0" * 32 + ".png", "/api", "/docs", "/openapi.json",
    ):  # fmt: skip
        status, _, data = client("GET", path)
        assert status in (404, 405), path
        assert b"alpha" not in data and b"seed" not in data


def test_replies_carry_a_strict_policy_and_no_trace_of_files(client: Client, study: Study) -> None:
    name = next(iter(study.items.values())).candidates[0]
    for path in ("/", "/page.js", "/page.css", f"/images/{name}.png", "/api/study", "/nowhere"):
        _, headers, data = client("GET", path)
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert not {"etag", "last-modified", "server", "set-cookie", "access-control-allow-origin"} & set(headers)
        assert b"http://" not in data and b"https://" not in data, "nothing from elsewhere"


def test_other_names_of_this_machine_and_other_sites_are_refused(client: Client) -> None:
    body = {"rater": "ann"}
    own = f"127.0.0.1:{client.port}"
    assert client("POST", "/api/state", body, origin=f"http://{own}")[0] == 200
    assert client("GET", "/", host="evil.example")[0] == 421
    assert client("GET", "/", host=f"evil.example:{client.port}")[0] == 421
    assert client("POST", "/api/state", body, origin="http://evil.example")[0] == 403
    assert client("POST", "/api/state", body, origin="null")[0] == 403
    assert client("POST", "/api/state", body, sec_fetch_site="cross-site")[0] == 403
    assert client("POST", "/api/state", raw=b'{"rater":"ann"}', content_type="text/plain")[0] == 415
    assert client("POST", "/api/state", raw=b"rater=ann", content_type="application/x-www-form-urlencoded")[0] == 415
    assert client("PUT", "/api/state", body)[0] == 405
    assert client("GET", "/api/answer")[0] == 405


def test_malformed_requests_are_refused_and_change_nothing(client: Client, study: Study) -> None:
    item = next(iter(study.items))
    good = {"rater": "ann", "item": item, "question": "text", "value": "1", "token": "t"}
    wrong = [{"value": "2"}, {"value": None}, {"item": "x"}, {"question": "x"}, {"token": ""}, {"token": "x" * 101},
             {"rater": ""}, {"rater": ["ann"]}, {"token": "a\x00"}]  # fmt: skip
    for change in wrong:
        status, answer = client.post("/api/answer", good | change)
        assert status in (400, 404) and answer["error"], change
    for raw in (b"", b"[]", b"{", b"[" * 4000, b"\xff"):
        assert client("POST", "/api/answer", raw=raw, content_type="application/json")[0] == 400
    assert client("POST", "/api/answer", raw=b" " * 5000, content_type="application/json")[0] == 413
    for answer in (None, "1", True, 1.5):
        assert client.post("/api/undo", {"rater": "ann", "token": "u", "answer": answer})[0] == 400
    assert client.post("/api/undo", {"rater": "ann", "token": "u", "answer": 7})[0] == 409
    assert Store(study.folder / DATABASE, study.id).history() == []


def test_a_conflict_says_so_and_gives_the_state(client: Client) -> None:
    _, state = client.post("/api/state", {"rater": "ann"})
    body = {"rater": "ann", "item": state["item"]["id"], "question": "subject"}
    assert client.post("/api/answer", body | {"value": "1", "token": "t1"})[0] == 200
    status, state = client.post("/api/answer", body | {"value": "0", "token": "t2"})
    assert status == 409 and "undo that answer" in state["error"]
    assert state["item"]["answers"] == {"subject": "1"} and state["item"]["question"] == "text"


def test_an_answer_that_cannot_be_written_is_not_confirmed(
    client: Client, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, state = client.post("/api/state", {"rater": "ann"})
    body = {"rater": "ann", "item": state["item"]["id"], "question": "subject", "value": "1", "token": "t"}

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "_record", staticmethod(full))
        status, answer = client.post("/api/answer", body)
        assert (status, answer) == (503, {"error": "not saved: database or disk is full"})
    assert client.post("/api/answer", body)[1]["last"] == 1, "the page's retry"


def test_a_token_opens_the_page_and_nothing_else_does(guarded: Client, study: Study) -> None:
    name = next(iter(study.items.values())).candidates[0]
    for path in (
        "/",
        "/page.js",
        f"/images/{name}.png",
        "/api/study",
        "/?token=wrong",
        "/?token=",
        f"/page.js?token={TOKEN}",
    ):
        assert guarded("GET", path)[0] == 403
    assert guarded("GET", "/", cookie="suti-ratings=wrong")[0] == 403
    assert guarded("POST", "/api/state", {"rater": "ann"})[0] == 403
    status, headers, _ = guarded("GET", f"/?token={TOKEN}")
    assert (status, headers["location"]) == (303, "/"), "the address bar forgets it"
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie
    cookie = cookie.partition(";")[0]
    assert guarded("GET", "/", cookie=cookie)[0] == 200
    assert guarded.post("/api/state", {"rater": "ann"}, cookie=cookie)[0] == 200
    assert guarded("POST", "/api/state", {"rater": "ann"}, cookie=cookie, origin="http://evil.example")[0] == 403


def test_other_machines_need_a_flag_and_a_token(study: Study, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    serve = ["ratings", "serve", str(study.folder), "--host", "0.0.0.0"]
    for command, token, wanted in (
        (serve, None, "needs --public and a token"),
        (serve, TOKEN, "needs --public and a token"),
        ([*serve, "--public"], None, "needs --public and a token"),
        ([*serve, "--public"], "short", "at least 16 letters and digits"),
    ):
        monkeypatch.delenv("SUTI_RATINGS_TOKEN", raising=False)
        if token:
            monkeypatch.setenv("SUTI_RATINGS_TOKEN", token)
        assert main(command) == 2
        assert wanted in capsys.readouterr().err
    with pytest.raises(ValueError, match="must be a token"):
        server.make_app(study, Store(study.folder / DATABASE, study.id), None, None)


def test_a_port_in_use_is_a_clear_error(study: Study, capsys: pytest.CaptureFixture) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert main(["ratings", "serve", str(study.folder), "--port", str(other.getsockname()[1])]) == 2
    assert "Address already in use; choose another --port" in capsys.readouterr().err


def test_sides_are_turned_back(material: sources.Material, tmp_path: Path) -> None:
    """The picture on the left is preferred each time: the answers name its method, whichever side it was on."""
    study = prepare(material, PAIRWISE, tmp_path / "duel", checks=0, seed=3).study
    store = Store(study.folder / DATABASE, study.id)
    desk = server.Desk(study, store)
    for n in range(6):
        while (item := desk.state(f"rater {n}")["item"]) is not None:
            asked = (item["id"], item["question"])
            desk.answer(f"rater {n}", *asked, "a", f"t{asked}")
            shown = study.items[item["id"]].candidates.index(item["candidates"][0])
            kept = store.of_rater(f"rater {n}")[-1]
            assert kept.value == "ab"[shown] and kept.swapped == bool(shown)
            answered = desk.state(f"rater {n}")["item"]
            if answered and answered["id"] == item["id"]:
                assert answered["answers"][item["question"]] == "a", "the page sees the sides that it shows"
    frame = answers.from_study(study.folder).frame
    assert len(frame) == 18 and set(frame["subject"]) == {0.0, 1.0}
    for row in frame.itertuples():
        methods = load_key(study)[row.item].methods
        assert (row.method_a, row.method_b) == methods == ("alpha", "beta")


def value_of(rater: str, item: str, question: str) -> str:
    return str(stable_hash(rater, item, question) % 2)


def rate(client: Client, rater: str, confirmed: list, failures: list, goal: int) -> None:
    """Answer until ``goal``, repeat what got no reply under the same token, double every third request, and undo
    and answer again every tenth."""

    def send(path: str, body: dict) -> dict:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                status, state = client.post(path, {"rater": rater, **body})
                assert status == 200, state
                return state
            except (OSError, http.client.HTTPException) as error:
                failures.append(error)
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)

    state = send("/api/state", {})
    while len(confirmed) < goal:
        item, question = state["item"]["id"], state["item"]["question"]
        n = len(confirmed)
        body = {"item": item, "question": question, "value": value_of(rater, item, question), "token": f"{rater}-{n}"}
        state = send("/api/answer", body)
        if n % 3 == 0:
            state = send("/api/answer", body)
        if n % 10 == 9:
            state = send("/api/undo", {"answer": state["last"], "token": f"{rater}-undo-{n}"})
            assert (state["item"]["id"], state["item"]["question"]) == (item, question)
            state = send("/api/answer", body | {"token": f"{rater}-again-{n}"})
        confirmed.append((rater, item, question, body["value"]))


def test_two_raters_and_a_killed_server_lose_and_double_nothing(folders: Path, tmp_path: Path) -> None:
    """200 answers of two raters at once; SIGKILL after about 40, 90 and 150, each time in the midst of requests."""
    rows = [f"{s},{s[:3]},prompt {n}" for n in range(6) for s in ("dog1", "dog2", "cup")]
    (folders / "prompts.csv").write_text(
        "subject,class,prompt,file\n" + "".join(f"{row},{1 + i % 2}.png\n" for i, row in enumerate(rows))
    )
    many = sources.from_folders(
        {"beta": folders / "beta", "gamma": folders / "beta"},
        folders / "prompts.csv",
        folders / "references",
        2,
        10_000,
    )
    study = prepare(many, BINARY, tmp_path / "study", seed=2).study
    assert len(study.items) * 3 >= 100
    process = Process(study.folder)
    confirmed: dict[str, list] = {"ann": [], "bob <b>": []}
    failures: list[Exception] = []
    errors: list[BaseException] = []

    def work(rater: str) -> None:
        try:
            rate(Client(process.port), rater, confirmed[rater], failures, 100)
        except BaseException as error:  # a thread's failure is the test's
            errors.append(error)

    process.start()
    threads = [threading.Thread(target=work, args=(rater,)) for rater in confirmed]
    try:
        for thread in threads:
            thread.start()
        for limit in (40, 90, 150):
            while sum(map(len, confirmed.values())) < limit and any(thread.is_alive() for thread in threads):
                time.sleep(0.002)
            process.kill()
            so_far = [row for rows in confirmed.values() for row in list(rows)]
            store = Store(study.folder / DATABASE, study.id)
            stored = {(a.rater, a.item, a.question, a.value) for a in store.all()}
            store.close()
            assert set(so_far) <= stored, "what was confirmed is on the disk"
            process.start()
        for thread in threads:
            thread.join(PATIENCE)
    finally:
        process.kill()
    assert not errors, errors
    assert failures, "the kills were felt"
    store = Store(load(study.folder).folder / DATABASE, study.id)
    held = [(a.rater, a.item, a.question, a.value) for a in store.all()]
    assert len(held) == len(set(held)) == 200
    assert set(held) == {row for rows in confirmed.values() for row in rows}
    kinds = [row[2] for row in store.history()]
    assert (kinds.count("answer"), kinds.count("undo")) == (220, 20), "every undo and second answer once"
    frame = answers.from_study(study.folder).frame
    assert frame[list(BINARY.names)].notna().to_numpy().sum() == 200
