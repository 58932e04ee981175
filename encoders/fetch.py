"""One GET from a listed host: bounded in size and time, redirects and addresses checked."""

import hashlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Set
from contextlib import closing, suppress
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import BinaryIO, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from common.text import one_line
from encoders.errors import DecodeError, EncoderError

_PORTS = {"http": 80, "https": 443}
_MOVED = (301, 302, 303, 307, 308)
_REDIRECTS = 5
_CONNECT_SECONDS = 10.0
_CHUNK = 1 << 16
_SAFE = "/%:@!$&'()*+,;=~"


class Silence(DecodeError):
    """A host that cannot be reached, as opposed to one that answers with an error."""


class Host(NamedTuple):
    """A host name or address and its port; None: the port of the scheme."""

    name: str
    port: int | None = None

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"

    @staticmethod
    def parse(text: str) -> "Host":
        """`cdn.example.org`, `127.0.0.1:8000`, `[::1]:8000`; `EncoderError` for anything else."""
        try:
            parts = urlsplit(f"//{text}")
            if parts.hostname and parts.netloc == text and not set(text) & set("@* "):
                return Host(_plain(parts.hostname), parts.port)
        except ValueError:
            pass
        raise EncoderError(f"media host {text!r} is not a host; write `cdn.example.org` or `cdn.example.org:8080`")


def host_of(url: str, hosts: Set[Host]) -> Host:
    """The listed host that `url` names; `DecodeError` where it names none."""
    try:
        parts = urlsplit(url)
        scheme, name, port = parts.scheme.lower(), _plain(parts.hostname or ""), parts.port
    except ValueError as error:
        raise DecodeError(f"not a usable URL: {one_line(error)}") from error
    if scheme not in _PORTS or not name:
        raise DecodeError(f"only http and https URLs are fetched, not {scheme}")
    if "@" in parts.netloc:
        raise DecodeError("URL holds a user name or password; media are fetched without")
    usual = port in (None, _PORTS[scheme])
    host = Host(name, None if usual else port)
    if host not in hosts and not (usual and Host(name, _PORTS[scheme]) in hosts):
        raise DecodeError(f"host {host} is not listed; add it to source.media_hosts if media may come from there")
    return host


def fetch(url: str, hosts: Set[Host], out: BinaryIO, limit: int, seconds: float) -> str:
    """Write what `url` leads to into `out`; its SHA-256 (hex).

    At most `limit` bytes in at most `seconds`, redirects included; every hop must name a listed host, and an address
    that is not public must itself be listed. No cookies, credentials, proxies or compression. Raises `DecodeError`,
    `Silence` among them; `OSError` only where `out` cannot be written.
    """
    digest = hashlib.sha256()
    for chunk in _body(url, hosts, limit, seconds):
        digest.update(chunk)
        out.write(chunk)
    return digest.hexdigest()


def _body(url: str, hosts: Set[Host], limit: int, seconds: float) -> Iterator[bytes]:
    stop = _Deadline(seconds)
    try:
        for _ in range(_REDIRECTS + 1):
            host_of(url, hosts)
            with closing(_connection(url, hosts, seconds)) as connection:
                stop.watch(connection.sock)  # the connection lets go of it once the answer has begun
                answer = _get(connection, url)
                if isinstance(answer, HTTPResponse):
                    yield from _chunks(answer, limit, stop)
                    return
            url = answer
    except (OSError, HTTPException) as error:
        late = stop.over or isinstance(error, TimeoutError)
        reason = f"took longer than {seconds:g} s" if late else f"broken answer: {one_line(error)}"
        raise DecodeError(reason) from error
    finally:
        stop.close()
    raise DecodeError(f"redirected more than {_REDIRECTS} times")


class _Deadline:
    """Cuts a connection when time is up, whether or not bytes still drip in."""

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._sock: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, sock: socket.socket) -> None:
        self._sock = sock

    def close(self) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.over = True
        if self._sock is not None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)


def _get(connection: HTTPConnection, url: str) -> HTTPResponse | str:
    """The answer, or the URL it redirects to."""
    connection.request("GET", _target(url), headers={"Accept-Encoding": "identity", "User-Agent": "modalweave"})
    response = connection.getresponse()
    if response.status in _MOVED and response.headers["Location"]:
        return urljoin(url, response.headers["Location"])
    if response.status != 200:
        raise DecodeError(f"HTTP {response.status} {one_line(ValueError(response.reason), 80)}")
    coding = response.headers.get("Content-Encoding", "identity")
    if coding != "identity":
        raise DecodeError(f"answer is compressed ({coding[:40]!r}), which was not asked for")
    return response


def _target(url: str) -> str:
    """Path and query as they go on the wire; what is percent-encoded stays as it is."""
    parts = urlsplit(url)
    path, query = quote(parts.path or "/", safe=_SAFE), quote(parts.query, safe=_SAFE + "?")
    return f"{path}?{query}" if query else path


def _chunks(response: HTTPResponse, limit: int, stop: _Deadline) -> Iterator[bytes]:
    announced, size = response.length, 0
    if announced is not None and announced > limit:
        raise DecodeError(f"file of {announced} bytes is over the limit of {limit} bytes")
    while chunk := response.read1(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise DecodeError(f"file is over the limit of {limit} bytes")
        yield chunk
    if stop.over or (announced is not None and size < announced):
        raise OSError(f"only {size} of {announced} bytes came")
    if not size:
        raise DecodeError("file is empty (0 bytes)")


def _connection(url: str, hosts: Set[Host], seconds: float) -> HTTPConnection:
    """Connected to an address that was checked, so that a name cannot lead elsewhere a moment later."""
    parts = urlsplit(url)
    name, port = _plain(parts.hostname or ""), parts.port or _PORTS[parts.scheme.lower()]
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Silence(f"host {name} is not found: {one_line(error)}") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        allowed = {Host(address), Host(address, port)} & hosts
        if not _is_public(address) and not allowed:
            raise DecodeError(
                f"host {name} leads to {address}, which is not a public address; list that address too if it may"
            )
    failure: OSError | None = None
    for address in addresses:
        try:
            sock = socket.create_connection((address, port), timeout=min(seconds, _CONNECT_SECONDS))
            return _over(sock, parts.scheme.lower(), name, port, seconds)
        except OSError as error:
            failure = error
    raise Silence(f"host {name} cannot be reached: {one_line(failure or OSError())}")


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    return found.is_global and not found.is_multicast


def _over(sock: socket.socket, scheme: str, name: str, port: int, seconds: float) -> HTTPConnection:
    secure = scheme == "https"
    connection = (HTTPSConnection if secure else HTTPConnection)(name, port)
    try:
        connection.sock = _context().wrap_socket(sock, server_hostname=name) if secure else sock
    except OSError:
        sock.close()
        raise
    connection.sock.settimeout(seconds)
    return connection


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _plain(name: str) -> str:
    return name.rstrip(".").encode("idna").decode().lower() if not name.isascii() else name.rstrip(".").lower()
