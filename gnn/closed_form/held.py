"""What a search has made already and comes back to."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Held(Generic[Value]):
    """The value of the latest key, and that of one more key that is kept; anything else is made again."""

    def __init__(self) -> None:
        self._values: dict[Hashable, Value] = {}
        self._kept: Hashable = None

    def __call__(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made where it is not held; what was held before is then let go, but for the kept one."""
        if key not in self._values:
            made = make()
            self._values = {k: value for k, value in self._values.items() if k == self._kept} | {key: made}
        return self._values[key]

    def keep(self, key: Hashable) -> None:
        """Hold this key's value beside the latest from now on."""
        self._kept = key

    def get(self, key: Hashable) -> Value | None:
        """The value of a key where it is held."""
        return self._values.get(key)

    def forget(self) -> None:
        """Let everything go."""
        self._values = {}
