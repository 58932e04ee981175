"""One store that many requests read, opened again once a build has written to it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from graph.errors import StoreError
from graph.store import GraphStore


class SharedStore:
    """Opened at the first question; safe to be used by several threads."""

    def __init__(self, opened: Callable[[], GraphStore]) -> None:
        self._opened, self._lock = opened, threading.Lock()
        self._current: _InUse | None = None

    @contextmanager
    def reading(self) -> Iterator[GraphStore]:
        """The store as it is now. Raises `StoreError` where it cannot be opened, and tries anew the next time."""
        with self._lock:
            if self._current is not None and self._current.store.is_outdated():
                self._leave()
            if self._current is None:
                self._current = _InUse(self._opened())
            used = self._current
            used.readers += 1
        try:
            yield used.store
        except StoreError:
            with self._lock:
                if used is self._current and used.store.is_outdated():
                    self._leave()
            raise
        finally:
            with self._lock:
                used.readers -= 1
                used.close_if_left()

    def close(self) -> None:
        """Close it after its last reader."""
        with self._lock:
            self._leave()

    def _leave(self) -> None:
        if self._current is not None:
            self._current.left = True
            self._current.close_if_left()
            self._current = None


class _InUse:
    def __init__(self, store: GraphStore) -> None:
        self.store, self.readers, self.left = store, 0, False

    def close_if_left(self) -> None:
        if self.left and not self.readers:
            self.store.close()
