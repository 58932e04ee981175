"""Media that a catalogue names by URL: fetched from listed hosts only, and kept by content.

`urls/<SHA-256 of the URL>` holds the SHA-256 of what it led to, `files/<that>` the bytes. A URL is fetched once, a
file that does not match its name again; a failure is tried again in the next run.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from common.files import keep, partial_file, remove_stale
from encoders.errors import DecodeError, EncoderError
from encoders.fetch import Host, Silence, fetch, host_of
from encoders.files import is_url, read_inside
from encoders.limits import DecodeLimits

_AT_ONCE, _AHEAD = 8, 32
_PATIENCE = 5


class Downloads:
    """A folder of fetched files; any number of processes may use it at once."""

    def __init__(self, folder: Path, hosts: Sequence[str]) -> None:
        """`hosts`: `host` (the scheme's own port) or `host:port`; `EncoderError` for anything else."""
        self._hosts = frozenset(Host.parse(host) for host in hosts)
        self._urls, self._files = folder / "urls", folder / "files"
        self._refused: dict[str, str] = {}
        self._silent: Counter[Host] = Counter()
        try:
            for part in (self._urls, self._files):
                part.mkdir(parents=True, exist_ok=True)
                remove_stale(part)
        except OSError as error:
            raise EncoderError(f"downloads {folder} cannot be made: {error.strerror}") from error

    def ahead(self, uris: Iterable[str | None], limits: DecodeLimits) -> Iterator[None]:
        """Fetch the URLs among `uris`, some at once, a bounded number ahead; one step for each uri, in order, when
        `read` need not wait for it."""
        waiting: deque[Future[None] | None] = deque()
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            try:
                for uri in uris:
                    waiting.append(threads.submit(self._try, uri, limits) if uri and is_url(uri) else None)
                    if len(waiting) > _AHEAD:
                        _finish(waiting.popleft())
                        yield
                while waiting:
                    _finish(waiting.popleft())
                    yield
            finally:  # a build that stops does not wait for what it had planned to fetch
                threads.shutdown(wait=False, cancel_futures=True)

    def read(self, url: str, limits: DecodeLimits) -> bytes:
        """The bytes behind `url`, at most `limits.bytes`, fetched now unless they are here. `DecodeError` with the
        reason, the same one for the rest of the run."""
        host_of(url, self._hosts)  # a host that is no longer listed is refused, whatever lies here
        if url in self._refused:
            raise DecodeError(self._refused[url])
        for _ in range(2):
            key = self._known(url) or self._fetch(url, limits)
            data = read_inside(self._files, key, limits.bytes)
            if hashlib.sha256(data).hexdigest() == key:
                return data
            (self._files / key).unlink(missing_ok=True)
        raise DecodeError("what was fetched does not stay as it was written; is the disk damaged?")

    def _known(self, url: str) -> str | None:
        """The hash of what `url` led to, if it is here."""
        try:
            key = (self._urls / _name(url)).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return None
        return key if len(key) == 64 and key.isalnum() and (self._files / key).is_file() else None

    def _try(self, url: str, limits: DecodeLimits) -> None:
        try:
            if self._known(url) is None and url not in self._refused:
                self._fetch(url, limits)
        except DecodeError as error:
            self._refused[url] = str(error)

    def _fetch(self, url: str, limits: DecodeLimits) -> str:
        host = host_of(url, self._hosts)
        if self._silent[host] >= _PATIENCE:
            raise DecodeError(f"{host} did not answer {_PATIENCE} times in a row; not asked again in this run")
        try:
            with partial_file(self._files) as file:
                key = fetch(url, self._hosts, file, limits.bytes, limits.timeout)
                keep(file, self._files / key)
            with partial_file(self._urls) as file:
                file.write(key.encode())
                keep(file, self._urls / _name(url))
        except Silence:
            self._silent[host] += 1
            raise
        except OSError as error:
            raise EncoderError(f"downloads {self._files.parent} cannot be written: {error.strerror}") from error
        self._silent[host] = 0
        return key


def kept_file(folder: Path, digest: str, limit: int) -> bytes:
    """What an earlier run has fetched into `folder`, by the SHA-256 of its content; `DecodeError` where it is not."""
    return read_inside(folder / "files", digest, limit)


def _name(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def _finish(future: Future[None] | None) -> None:
    if future is not None:
        future.result()
