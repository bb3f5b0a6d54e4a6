"""The page's server: loopback unless asked otherwise, no route to anything but the study, answers durable first.

Routes: the page's three files, ``/images/NAME.png`` for pictures of the study, and POST of JSON to ``/api/state``,
``/api/answer`` and ``/api/undo``. Every reply of the three holds what the rater sees next, so the page has no state
of its own to lose. A request from another site is refused by its Origin and its content type; one by another name
of this machine (DNS rebinding) by its Host.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from suti.io.addresses import is_loopback
from suti.ratings.guard import Guard
from suti.ratings.schemes import FIRST, SECOND
from suti.ratings.store import Conflict, Store, rater_name
from suti.ratings.study import Item, Study

LONGEST_BODY = 4096
PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
OTHER_SIDE = {FIRST: SECOND, SECOND: FIRST}


class Refused(ValueError):
    """A request that is not answered; ``status`` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Desk:
    """What a rater sees and does, without HTTP. Values on the page's side: 'a' is the left picture."""

    def __init__(self, study: Study, store: Store) -> None:
        self.study, self.store = study, store
        self._order = lru_cache(maxsize=256)(study.order)

    def state(self, rater: str) -> dict[str, Any]:
        """Progress of a rater, and the first open question in the order of this rater."""
        answers = self.store.of_rater(rater)
        given = {(answer.item, answer.question): answer for answer in answers}
        names = self.study.scheme.names
        pending = [i for i in self._order(rater) if any((i, name) not in given for name in names)]
        state: dict[str, Any] = {
            "rater": rater,
            "done": len(self.study.items) - len(pending),
            "total": len(self.study.items),
            "last": answers[-1].id if answers else None,
            "item": None,
        }
        if pending:
            item = self.study.items[pending[0]]
            chosen = {name: given[item.id, name] for name in names if (item.id, name) in given}
            state["item"] = {
                "id": item.id,
                "subject": item.subject,
                "prompt": item.prompt,
                "references": list(item.references),
                "candidates": self._candidates(rater, item),
                "question": next(name for name in names if name not in chosen),
                "answers": {name: self._turn(rater, item.id, a.value) for name, a in chosen.items()},
            }
        if len(pending) > 1:
            following = self.study.items[pending[1]]
            state["next"] = [*following.references, *following.candidates]  # fetched ahead
        return state

    def answer(self, rater: str, item: str, question: str, value: str, token: str) -> None:
        """Keep an answer as the page gives it. Raises Refused (404, 400) or Conflict."""
        if item not in self.study.items or question not in self.study.scheme.names:
            raise Refused(404, "no such item or question in this study; reload the page")
        values = [choice.value for choice in self.study.scheme.question(question).choices]
        if value not in values:
            raise Refused(400, f"expected one of {', '.join(values)}")
        self.store.answer(rater, item, question, self._turn(rater, item, value), self.study.swapped(rater, item), token)

    def _candidates(self, rater: str, item: Item) -> list[str]:
        return list(item.candidates[::-1] if self.study.swapped(rater, item.id) else item.candidates)

    def _turn(self, rater: str, item: str, value: str) -> str:
        """Left and right as first and second method, or back."""
        return OTHER_SIDE.get(value, value) if self.study.swapped(rater, item) else value


def make_app(study: Study, store: Store, hosts: frozenset[str] | None, token: str | None) -> ASGIApp:
    """The ASGI application.

    Args:
        hosts: values of the Host header that are answered; any if None (then there must be a token).
        token: the secret that every request must know, by cookie or, once, as ``/?token=``; none if None.
    """
    desk = Desk(study, store)
    place = files("suti.ratings") / "page"
    page = {path: ((place / name).read_bytes(), kind) for path, (name, kind) in PAGE.items()}
    scheme = {
        "study": study.id,
        "title": study.scheme.title,
        "instructions": study.scheme.instructions,
        "questions": [
            {"name": q.name, "label": q.label, "text": q.text, "help": q.help,
             "choices": [{"value": c.value, "label": c.label, "keys": c.keys} for c in q.choices]}
            for q in study.scheme.questions
        ],
    }  # fmt: skip

    async def show(request: Request) -> Response:
        body, kind = page[request.url.path]
        return Response(body, media_type=f"{kind}; charset=utf-8", headers={"Cache-Control": "no-cache"})

    async def image(request: Request) -> Response:
        path = study.picture(request.path_params["name"].removesuffix(".png"))
        if path is None or not request.path_params["name"].endswith(".png"):
            return PlainTextResponse("no such picture in this study", 404)
        # Neither ETag nor date: the file's time and inode could tell when, and so by what, it was made.
        data = await run_in_threadpool(path.read_bytes)
        return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=86400, immutable"})

    def api(action: Callable[[str, dict], None]) -> Callable:
        async def endpoint(request: Request) -> Response:
            try:
                body = await _json(request)
                rater = rater_name(body.get("rater"))
                return JSONResponse(await run_in_threadpool(lambda: _reply(action, rater, body)))
            except Refused as error:
                return JSONResponse({"error": str(error)}, error.status)
            except Conflict as error:
                state = await run_in_threadpool(desk.state, rater)
                return JSONResponse({"error": str(error), **state}, 409)
            except ValueError as error:
                return JSONResponse({"error": str(error)}, 400)
            except sqlite3.Error as error:
                return JSONResponse({"error": f"not saved: {error}"}, 503)

        return endpoint

    def _reply(action: Callable[[str, dict], None], rater: str, body: dict) -> dict:
        action(rater, body)
        return desk.state(rater)

    def answer(rater: str, body: dict) -> None:
        desk.answer(rater, *(_text(body, name) for name in ("item", "question", "value", "token")))

    def undo(rater: str, body: dict) -> None:
        number = body.get("answer")
        if not isinstance(number, int) or isinstance(number, bool):
            raise Refused(400, "answer: expected the number of an answer")
        store.undo(rater, number, _text(body, "token"))

    async def questions(request: Request) -> Response:
        return JSONResponse(scheme)

    routes = [
        *(Route(path, show) for path in PAGE),
        Route("/favicon.ico", lambda request: Response(status_code=204)),  # browsers ask for it unasked
        Route("/images/{name:str}", image),
        Route("/api/study", questions),
        Route("/api/state", api(lambda rater, body: None), methods=["POST"]),
        Route("/api/answer", api(answer), methods=["POST"]),
        Route("/api/undo", api(undo), methods=["POST"]),
    ]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False  # an unknown path is unknown
    return Guard(app, hosts, token)


async def _json(request: Request) -> dict:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > LONGEST_BODY:
            raise Refused(413, f"more than {LONGEST_BODY} bytes")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "expected JSON") from error
    if not isinstance(body, dict):
        raise Refused(400, "expected a JSON object")
    return body


def _text(body: dict, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= 100 or not value.isprintable():
        raise Refused(400, f"{name}: expected a text of 1 to 100 characters")
    return value


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        OSError: names host and port, and what to do.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a killed server can start again at once
        try:
            listener.bind(address)
            listener.listen(128)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"cannot listen on {host} port {port}: {reason}; choose another --port") from error
    return listener


def serve(study: Study, store: Store, host: str, port: int, token: str | None) -> None:
    """Serve the page until the process is told to stop. ``guard.check_address`` comes before."""
    listener = bind(host, port)
    port = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    hosts = None
    if is_loopback(host):
        names = (shown.lower(), "localhost", "127.0.0.1", "[::1]")
        hosts = frozenset(f"{name}:{port}" for name in names) | (frozenset(names) if port == 80 else frozenset())
    app = make_app(study, store, hosts, None if hosts else token)
    address = f"http://{shown}:{port}/" + ("" if hosts else "?token=$SUTI_RATINGS_TOKEN")
    print(f"suti ratings: {study.scheme.name} study of {len(study.items)} items on {address}", flush=True)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=5
    )
    with contextlib.suppress(KeyboardInterrupt):  # the way to stop it
        uvicorn.Server(config).run(sockets=[listener])
