"""POST of JSON to one address that the user named: tried again where that helps, bounded in size, time and number."""

import ipaddress
import json
import os
import random
import re
import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from common.text import one_line
from encoders.errors import EncoderError

_MOST_BYTES = 256 << 20
_FIRST_WAIT = 0.5
_AGAIN = frozenset((408, 429, 500, 502, 503, 504))
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def checked_address(name: str, address: str) -> str:
    """The address without a closing slash; `EncoderError` where it is neither https nor http on this machine."""
    parts = None
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if parts is None or not host or "@" in parts.netloc:
        raise EncoderError(f"{name}: address must be like https://host/v1, without user name or password")
    if parts.query or parts.fragment or not (parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))):
        raise EncoderError(
            f"{name}: address {parts.scheme}://{parts.netloc} may not be used; it must be https, or http on this "
            "machine (127.0.0.1, [::1], localhost), and hold no query"
        )
    return address.rstrip("/")


def checked_key(name: str, key: str | None) -> str | None:
    """The name of a variable; `EncoderError`, which does not show it, for what may be a key itself."""
    if key is not None and not _VARIABLE.fullmatch(key):
        raise EncoderError(
            f"{name}: key must be the name of an environment variable in capitals, e.g. EMBEDDINGS_API_KEY, never the "
            "key itself"
        )
    return key


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Failed(NamedTuple):
    """A try that may be made again."""

    reason: str
    wait: float | None = None
    """Seconds that the server asked for."""


class Server:
    """One address; safe to be used by several threads."""

    def __init__(
        self,
        name: str,
        address: str,
        *,
        key: str | None,
        timeout: float,
        retries: int,
        longest_wait: float,
        max_requests: int | None,
        at_once: int,
    ) -> None:
        """`key` names an environment variable, read when first asked; the times are seconds."""
        self.name, self.address = name, address
        self._key, self._timeout, self._retries = key, timeout, retries
        self._longest, self._most, self._at_once = longest_wait, max_requests, at_once
        self._sent, self._lock = 0, threading.Lock()
        self._client: httpx.Client | None = None
        self._secret = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.address}"

    def post(self, body: dict[str, Any]) -> Any:
        """The answer's JSON; `EncoderError` where none comes."""
        failed = _Failed("")
        for attempt in range(self._retries + 1):
            if attempt:
                time.sleep(self._wait(failed, attempt))
            found = self._try(body)
            if not isinstance(found, _Failed):
                return found[0]
            failed = found
        tries = f"{self._retries + 1} tries" if self._retries else "one try"
        raise EncoderError(f"{self} gave no answer in {tries}: {failed.reason}")

    def _wait(self, failed: _Failed, attempt: int) -> float:
        if failed.wait is None:
            backoff: float = _FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)  # noqa: S311
            return min(backoff, self._longest)
        if failed.wait > self._longest:
            raise EncoderError(
                f"{self} asks to wait {failed.wait:,.0f} s ({failed.reason}), over longest_wait {self._longest:g}; "
                "build again then: what came is kept"
            )
        return failed.wait

    def _try(self, body: dict[str, Any]) -> tuple[Any] | _Failed:
        client = self._opened()
        stop = time.monotonic() + self._timeout
        try:
            with client.stream("POST", self.address, json=body) as response:
                content = bytearray()
                for chunk in response.iter_raw():
                    content += chunk
                    if len(content) > _MOST_BYTES:
                        raise EncoderError(f"{self} answered more than {_MOST_BYTES >> 20} MB")
                    if time.monotonic() > stop:
                        return _Failed(f"took longer than {self._timeout:g} s")
        except httpx.TimeoutException:
            return _Failed(f"took longer than {self._timeout:g} s")
        except httpx.TransportError as error:
            return _Failed(self._plain(one_line(error)))
        if response.is_redirect:
            raise EncoderError(f"{self} redirects elsewhere, which is not followed; name the final address")
        if response.status_code != 200:
            reason = f"HTTP {response.status_code} {self._plain(content.decode('utf-8', 'replace'))}".strip()
            if response.status_code in _AGAIN:
                return _Failed(reason, _seconds(response.headers.get("Retry-After")))
            raise EncoderError(f"{self} refused: {reason}")
        try:
            return (json.loads(content),)
        except ValueError as error:
            raise EncoderError(f"{self} answered no JSON: {one_line(error)}") from None

    def _opened(self) -> httpx.Client:
        """The client, once one more request is allowed."""
        with self._lock:
            if self._most is not None and self._sent >= self._most:
                raise EncoderError(f"{self} was sent max_requests {self._most}; raise it to go on: what came is kept")
            self._sent += 1
            if self._client is None:
                self._client = self._client_of(self._read_key())
            return self._client

    def _client_of(self, secret: str) -> httpx.Client:
        self._secret = secret
        headers = {"User-Agent": "modalweave", "Accept-Encoding": "identity"}
        return httpx.Client(
            headers={**headers, "Authorization": f"Bearer {secret}"} if secret else headers,
            timeout=self._timeout,
            limits=httpx.Limits(max_connections=self._at_once),
            trust_env=False,  # no proxy, no .netrc: media and key go where the user said
            follow_redirects=False,
        )

    def _read_key(self) -> str:
        if self._key is None:
            return ""
        secret = os.environ.get(self._key, "").strip()
        if not secret or not secret.isascii() or not secret.isprintable():
            raise EncoderError(f"{self.name}: environment variable {self._key} is not set or no key; export it")
        return secret

    def _plain(self, text: str) -> str:
        """What a server said, without the key that it may repeat."""
        return one_line(text.replace(self._secret, "***") if self._secret else text)


def _seconds(header: str | None) -> float | None:
    """`Retry-After` in seconds from now: a number, or a date."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, ((date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())
