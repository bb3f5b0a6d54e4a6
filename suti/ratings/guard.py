"""Who may talk to the ratings server: Host, token, Origin and content type, before any route sees a request."""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from suti.io.addresses import is_loopback

SHORTEST_TOKEN = 16
COOKIE = "suti-ratings"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """ASGI middleware: Host, token, Origin and content type are checked first; every reply carries ``HEADERS``."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None, token: str | None) -> None:
        if hosts is None and token is None:
            raise ValueError("without a list of hosts there must be a token")
        self.app, self.hosts, self.token = app, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no websockets, no lifespan

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = self._refusal(scope) or self._entry(scope) or self.app
        await answer(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if self.hosts is not None and host not in self.hosts:
            return PlainTextResponse(f"this page is served as {', '.join(sorted(self.hosts))} only", 421)
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("method not allowed", 405)
        if scope["method"] == "POST":
            origin = headers.get("origin")
            if origin is not None and (urlsplit(origin).netloc.lower() != host or not host):
                return PlainTextResponse("refused: the request comes from another site", 403)
            if headers.get("sec-fetch-site", "same-origin") != "same-origin":
                return PlainTextResponse("refused: the request comes from another site", 403)
            if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                return PlainTextResponse("refused: expected application/json", 415)
        return None

    def _entry(self, scope: Scope) -> Response | None:
        """Nothing if the request may pass; the redirect that sets the cookie; or a refusal."""
        if self.token is None:
            return None
        try:
            morsel = SimpleCookie(Headers(scope=scope).get("cookie", "")).get(COOKIE)
        except CookieError:
            morsel = None
        if morsel is not None and self._is_token(morsel.value):
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and scope["method"] == "GET" and self._is_token(given):
            entry = RedirectResponse("/", 303)  # so that the address bar and the history forget the token
            entry.set_cookie(COOKIE, given, httponly=True, samesite="lax")  # strict would fail after a link in a mail
            return entry
        return PlainTextResponse("this page needs the address with the token that you were given", 403)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self.token or "").encode())


def check_address(host: str, public: bool, token: str | None) -> None:
    """Refuse to be reachable from other machines unless that is meant and there is a token.

    Raises:
        ValueError: says what is missing.
    """
    if is_loopback(host):
        return
    if not public or not token:
        raise ValueError(
            f"--host {host} would let other machines rate: that needs --public and a token of at least "
            f"{SHORTEST_TOKEN} characters in the environment variable SUTI_RATINGS_TOKEN; or leave --host out and "
            "reach this machine by `ssh -L`"
        )
    if len(token) < SHORTEST_TOKEN or not token.isalnum() or not token.isascii():
        raise ValueError(
            f"SUTI_RATINGS_TOKEN: expected at least {SHORTEST_TOKEN} letters and digits; "
            "`python -c 'import secrets; print(secrets.token_hex(16))'` makes one"
        )
