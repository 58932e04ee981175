"""What a catalogue names, the distinct contents behind it, and what became of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from encoders.limits import Facts

_BLOCK = 1024


class MediaRef(NamedTuple):
    """One piece of media that a catalogue names: exactly one of `uri` (below the root, or a URL) and `content`
    (a text)."""

    modality: str
    uri: str | None = None
    content: str | None = None
    lang: str | None = None


@dataclass(frozen=True)
class EmbedResult:
    """What became of each ref, in the order given, and the vectors of the distinct contents."""

    ids: list[str | None]
    """Per ref: SHA-256 (hex) of the file's bytes or the text's UTF-8, None if refused."""
    reasons: list[str | None]
    """Per ref: None, or the one line that says why it was refused."""
    facts: list[Facts]
    """Per ref: `width`, `height` | `duration`, `sample_rate` | `lang`; empty if refused."""
    unique_ids: list[str]
    """Distinct ids in the order they first appear."""
    vectors: Float[np.ndarray, "unique dim"]
    """float32, unit length, one row for each of `unique_ids`."""
    hits: int = 0
    """Contents that came from the cache."""
    encoded: int = 0
    """Contents that the encoder ran on."""


@dataclass(slots=True)
class _Content:
    key: str
    facts: Facts
    reason: str | None = None


class Contents:
    """The distinct contents of refs that are met one by one; a content's number is the row of its vector."""

    def __init__(self, refs: int, dim: int) -> None:
        self._found: list[_Content] = []
        self._numbers: dict[str, int] = {}
        self._of_ref: list[int | str] = []  # per ref met: its content's number, or why it could not be read
        # Rows nothing is written to take no memory, so duplicates and refused files cost none.
        self._vectors = np.empty((refs, dim), dtype=np.float32)
        self._embedded = np.zeros(refs, dtype=bool)
        self._facts: dict[tuple[object, ...], Facts] = {}

    @property
    def met(self) -> int:
        """How many refs were met so far."""
        return len(self._of_ref)

    def meet_unreadable(self, reason: str) -> None:
        """The next ref cannot be read."""
        self._of_ref.append(reason)

    def meet(self, key: str) -> int | None:
        """The next ref holds the content with this hash: its number if it is new, None if it was met before."""
        number = self._numbers.setdefault(key, len(self._found))
        self._of_ref.append(number)
        if number < len(self._found):
            return None
        self._found.append(_Content(key, {}))
        return number

    def key(self, number: int) -> str:
        """The content's SHA-256 (hex)."""
        return self._found[number].key

    def facts(self, number: int) -> Facts:
        """What is known of the content."""
        return self._found[number].facts

    def describe(self, number: int, facts: Facts) -> None:
        """Note facts; one object for equal ones, as catalogues hold thousands of pictures of one size."""
        if len(self._facts) >= _BLOCK:
            self._facts.clear()
        self._found[number].facts = self._facts.setdefault(tuple(facts.items()), facts)

    def refuse(self, number: int, reason: str) -> None:
        """The content cannot be used."""
        self._found[number].reason = reason

    def embed(self, number: int, vector: Float[np.ndarray, "dim"]) -> None:
        """The content's vector."""
        self._vectors[number], self._embedded[number] = vector, True

    def result(self, refs: Sequence[MediaRef], *, hits: int, encoded: int) -> EmbedResult:
        """Per ref, and vectors by first appearance, whatever order they were made in. To be called once, at the end."""
        good = np.flatnonzero(self._embedded)
        for start in range(0, len(good), _BLOCK):  # rows only move forward: no second copy in memory
            rows = good[start : start + _BLOCK]
            self._vectors[start : start + len(rows)] = self._vectors[rows]
        ids: list[str | None] = []
        reasons: list[str | None] = []
        facts: list[Facts] = []
        for ref, number in zip(refs, self._of_ref, strict=True):
            found = _Content("", {}, number) if isinstance(number, str) else self._found[number]
            ok = found.reason is None
            ids.append(found.key if ok else None)
            reasons.append(found.reason)
            facts.append(({**found.facts, "lang": ref.lang} if ref.lang else found.facts) if ok else {})
        unique = [self._found[number].key for number in good]
        return EmbedResult(ids, reasons, facts, unique, self._vectors[: len(good)], hits, encoded)
