"""Replies kept by what was asked: one SQLite file, a row committed as soon as a reply has come."""

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

from encoders.errors import EncoderError

_TABLE = (
    "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, task TEXT NOT NULL, reply TEXT NOT NULL, "
    "created TEXT NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, seconds REAL NOT NULL)"
)
_PUT = "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?)"
_GET = "SELECT reply, created, tokens_in, tokens_out, seconds FROM replies WHERE key = ?"
_USAGE = "SELECT count(*), avg(tokens_in), avg(tokens_out), avg(seconds) FROM replies WHERE task = ?"


class KeptReply(NamedTuple):
    """The last word of a model on one prompt."""

    text: str
    created: str
    """The day it came, ISO 8601."""
    tokens_in: int
    """Of all tries together, as the server counts them; 0 where it does not."""
    tokens_out: int
    seconds: float
    """From the first try to the last reply."""


class Usage(NamedTuple):
    """What replies to one task have taken so far, on average."""

    replies: int
    tokens_in: float
    tokens_out: float
    seconds: float


class ReplyCache:
    """The replies of a run; several threads, and several processes, may use it at once."""

    def __init__(self, folder: Path) -> None:
        """Made where it is missing; `EncoderError` where it cannot be read or written."""
        self.path = folder / "replies.sqlite"
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, timeout=60, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise self._broken(error) from error

    def get(self, key: str) -> KeptReply | None:
        """What was kept under a key."""
        row = self._row(_GET, key)
        return KeptReply(*row) if row else None

    def put(self, key: str, task: str, reply: KeptReply) -> None:
        """Keep a reply; on disk when this returns."""
        try:
            with self._lock, self._connection:
                self._connection.execute(_PUT, (key, task, *reply))
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def usage(self, task: str) -> Usage:
        """What this cache has seen of a task."""
        count, *means = self._row(_USAGE, task) or (0, None, None, None)
        return Usage(count, *(mean or 0.0 for mean in means))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _row(self, query: str, value: str) -> tuple | None:  # type: ignore[type-arg]
        try:
            with self._lock, closing(self._connection.execute(query, (value,))) as found:
                return found.fetchone()
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> EncoderError:
        return EncoderError(f"replies {self.path} cannot be used: {error}; delete it to ask everything anew")


def today() -> str:
    """The day in UTC."""
    return datetime.now(UTC).date().isoformat()
