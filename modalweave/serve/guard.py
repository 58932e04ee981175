"""What every request passes first: who may ask, from where, how much at once; and what a browser is told of an answer.

A page of another site that a reader has open must not reach this one: the `Host` is checked against DNS rebinding,
`Origin` and `Sec-Fetch-Site` against requests that other sites send.
"""

import asyncio
import hmac
import ipaddress
import json
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, Field
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "modalweave"
"""Holds the token of a reader who has logged in."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_OPEN = ("/static/", "/login")
_READING = ("GET", "HEAD")
_BUSY = 503
_CROWDED = "too many requests are waiting; try again in a moment"


class Access(BaseModel, extra="forbid", frozen=True):
    """Who may ask, and how much."""

    token: str | None = None
    """What a reader has to give; None: nobody is asked, on this machine only."""

    names: tuple[str, ...] = ()
    """Host names under which the server may be asked beside `localhost` and plain addresses."""

    at_once: int = Field(default=8, ge=1)
    """Requests that are worked on at once."""

    waiting: int = Field(default=64, ge=0)
    """Requests that may wait for their turn; further ones are told to come back."""

    patience: float = Field(default=30.0, gt=0)
    """Seconds that a request waits for its turn."""

    body: int = Field(default=32 << 20, ge=1)
    """Bytes of a request at most."""


class Guard:
    """The outermost layer of the server."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access
        self._turns, self._inside = asyncio.Semaphore(access.at_once), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with the reason why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(scope, send, *refusal)
            return
        answer = _with_headers(send)
        limited = _Limited(receive, self._access.body)
        if scope["path"].startswith(_OPEN[0]):
            await self._app(scope, limited, answer)
            return
        if self._inside >= self._access.at_once + self._access.waiting:
            await _answer(scope, send, _BUSY, _CROWDED)
            return
        self._inside += 1
        try:
            await self._in_turn(scope, limited, answer)
        finally:
            self._inside -= 1

    async def _in_turn(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.wait_for(self._turns.acquire(), self._access.patience)
        except TimeoutError:
            await _answer(scope, send, _BUSY, _CROWDED)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._turns.release()

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not _is_known(host, self._access.names):
            return 421, "this host name is not served here; name it with --name, or use the server's address"
        if scope["method"] not in _READING:
            if not _is_own(scope, headers, host):
                return 403, "a request from another site is refused"
            length = headers.get("content-length", "0")
            if not length.isdigit() or int(length) > self._access.body:
                return 413, f"a request may hold {self._access.body:,} bytes"
        if self._access.token is None or scope["path"].startswith(_OPEN):
            return None
        return None if is_token(_given(headers), self._access.token) else (401, "a token is needed")


def is_token(given: str, token: str) -> bool:
    """Whether it is the token, compared in a time that tells nothing of it."""
    return hmac.compare_digest(given.encode(), token.encode())


class _Limited:
    """A request's body, cut off where it is longer than it said."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._left = receive, most

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        return message if self._left >= 0 else {"type": "http.disconnect"}


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


def _is_known(host: str, names: tuple[str, ...]) -> bool:
    """An address cannot be another site's name, so that only names are asked for."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name in names
    return True


def _is_own(scope: Scope, headers: Headers, host: str) -> bool:
    """Whether a request that may change something comes from our own pages, or from no browser at all."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == host
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _given(headers: Headers) -> str:
    kind, _, bearer = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return bearer.strip()
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


async def _answer(scope: Scope, send: Send, status: int, reason: str) -> None:
    """A refusal: a reader of pages without a token is led to where it is asked for."""
    headers = {**_HEADERS, "Content-Type": "application/json"}
    if status == _BUSY:
        headers["Retry-After"] = "1"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
        if scope["method"] in _READING and not scope["path"].startswith(("/api/", "/media/")):
            asked = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            status, headers["Location"] = 303, f"/login?next={quote(asked)}"
    content = json.dumps({"error": reason}).encode()
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content if scope["method"] != "HEAD" else b""})
