"""POST of JSON to one address that the user named: tried again where that helps, bounded in size, time and number."""

import ipaddress
import json
import os
import random
import re
import socket
import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt

from common.text import one_line
from encoders.errors import EncoderError, RequestRefused

if TYPE_CHECKING:
    import httpx

_MOST_BYTES = 256 << 20
_FIRST_WAIT = 0.5
_AGAIN = frozenset((408, 429, 500, 502, 503, 504))
_REFUSED = frozenset((400, 413, 415, 422))
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


class ServerConfig(BaseModel, extra="forbid"):
    """A model on a server that speaks OpenAI's protocol, and how to ask it."""

    address: str
    """Where the server's API begins, e.g. http://127.0.0.1:8000/v1; https, or http on this machine."""

    model: str
    """The model's name as the server knows it."""

    revision: str | None = None
    """Any word: with another one all is asked anew, for a server whose model changed under its name."""

    key: str | None = None
    """Name of the environment variable that holds the API key; None: no key is sent."""

    concurrency: PositiveInt = Field(default=4, le=64)
    """Requests at once."""

    timeout: PositiveFloat = 60.0
    """Seconds for one request and its whole answer."""

    retries: int = Field(default=5, ge=0, le=20)
    """Further tries after 429, 5xx, a broken answer or none; the wait doubles, or is what `Retry-After` says."""

    longest_wait: PositiveFloat = 60.0
    """Seconds between two tries at most; a server that asks for more stops the command."""

    max_requests: PositiveInt | None = None
    """Requests that a command may send, further tries included; what came before the last is in the cache."""


def _checked_address(name: str, address: str) -> str:
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


def _checked_key(name: str, key: str | None) -> str | None:
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

    def __init__(self, name: str, path: str, config: ServerConfig) -> None:
        """`path` comes after the address, e.g. "embeddings"; the key is read when first asked. `EncoderError` for an
        address that is neither https nor http on this machine."""
        self.name, self.base = name, _checked_address(name, config.address)
        self.address = f"{self.base}/{path}"
        self._config, self._key = config, _checked_key(name, config.key)
        self._sent, self._lock = 0, threading.Lock()
        self._client: httpx.Client | None = None
        self._secret = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.address}"

    @property
    def sends_to(self) -> str:
        """Where requests go, as a person reads it."""
        key = f"the key in {self._key}" if self._key else "no key"
        return f"{self.address} (model {self._config.model}, with {key})"

    def check(self, seconds: float = 3.0) -> None:
        """Raise `EncoderError` where the key is not set or nothing listens there. Nothing is sent."""
        self._read_key()
        parts = urlsplit(self.address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((str(parts.hostname), port), timeout=seconds).close()
        except OSError as error:
            raise EncoderError(f"{self} cannot be reached: {one_line(error)}") from error

    def post(self, body: dict[str, Any]) -> Any:
        """The answer's JSON; `EncoderError` where none comes."""
        failed = _Failed("")
        for attempt in range(self._config.retries + 1):
            if attempt:
                time.sleep(self._wait(failed, attempt))
            found = self._try(body)
            if not isinstance(found, _Failed):
                return found[0]
            failed = found
        tries = f"{self._config.retries + 1} tries" if self._config.retries else "one try"
        raise EncoderError(f"{self} gave no answer in {tries}: {failed.reason}")

    def _wait(self, failed: _Failed, attempt: int) -> float:
        if failed.wait is None:
            backoff: float = _FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)  # noqa: S311
            return min(backoff, self._config.longest_wait)
        if failed.wait > (longest := self._config.longest_wait):
            raise EncoderError(
                f"{self} asks to wait {failed.wait:,.0f} s ({failed.reason}), over longest_wait {longest:g}; "
                "run it again then: what came is kept"
            )
        return failed.wait

    def _try(self, body: dict[str, Any]) -> tuple[Any] | _Failed:
        import httpx  # here: settings are read by every command, few of which send anything

        client = self._opened()
        stop = time.monotonic() + self._config.timeout
        try:
            with client.stream("POST", self.address, json=body) as response:
                content = bytearray()
                for chunk in response.iter_raw():
                    content += chunk
                    if len(content) > _MOST_BYTES:
                        raise EncoderError(f"{self} answered more than {_MOST_BYTES >> 20} MB")
                    if time.monotonic() > stop:
                        return _Failed(f"took longer than {self._config.timeout:g} s")
        except httpx.TimeoutException:
            return _Failed(f"took longer than {self._config.timeout:g} s")
        except httpx.TransportError as error:
            return _Failed(self._plain(one_line(error)))
        if response.is_redirect:
            raise EncoderError(f"{self} redirects elsewhere, which is not followed; name the final address")
        if response.status_code != 200:
            reason = f"HTTP {response.status_code} {self._plain(content.decode('utf-8', 'replace'))}".strip()
            if response.status_code in _AGAIN:
                return _Failed(reason, _seconds(response.headers.get("Retry-After")))
            kind = RequestRefused if response.status_code in _REFUSED else EncoderError
            raise kind(f"{self} refused: {reason}")
        try:
            return (json.loads(content),)
        except ValueError as error:
            raise EncoderError(f"{self} answered no JSON: {one_line(error)}") from None

    def _opened(self) -> "httpx.Client":
        """The client, once one more request is allowed."""
        with self._lock:
            if self._config.max_requests is not None and self._sent >= self._config.max_requests:
                raise EncoderError(
                    f"{self} was sent max_requests {self._config.max_requests}; raise it to go on: what came is kept"
                )
            self._sent += 1
            if self._client is None:
                self._client = self._client_of(self._read_key())
            return self._client

    def _client_of(self, secret: str) -> "httpx.Client":
        import httpx

        self._secret = secret
        headers = {"User-Agent": "modalweave", "Accept-Encoding": "identity"}
        return httpx.Client(
            headers={**headers, "Authorization": f"Bearer {secret}"} if secret else headers,
            timeout=self._config.timeout,
            limits=httpx.Limits(max_connections=self._config.concurrency),
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
