"""Media to embeddings: read, hash, look up, decode in a pool, encode in batches, keep.

Only ids, facts and vectors stay in memory; decoded media wait in one bounded queue.
"""

import contextlib
import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from common.progress import Progress
from encoders.base import Encoder
from encoders.cache import CachePart, EmbeddingCache
from encoders.downloads import Downloads
from encoders.errors import DecodeError, EncoderError
from encoders.files import is_url, read_inside
from encoders.limits import DecodeLimits, Facts
from encoders.pool import DecodePool, Outcome

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


def embed_media(
    refs: Sequence[MediaRef],
    *,
    root: Path | None,
    encoder: Encoder,
    cache: EmbeddingCache | None = None,
    limits: DecodeLimits | None = None,
    downloads: Downloads | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> EmbedResult:
    """Embed media of one modality; the same bytes under two names are encoded once.

    Without `downloads` every URL is refused. `workers` decoding processes (default: one a core, at most 8);
    0 decodes in this process, as texts always are.
    `progress` is called with (refs done, refs). Bad media never raise: they get a reason. `EncoderError` is
    for what concerns the run: a modality the encoder does not know, an encoder that cannot load, a full disk.
    """
    modalities = {ref.modality for ref in refs} or {encoder.modalities[0]}
    if len(modalities) > 1 or not modalities <= set(encoder.modalities):
        raise EncoderError(
            f"{encoder.name} embeds {' and '.join(encoder.modalities)}, one modality a call; got "
            f"{', '.join(sorted(modalities))}"
        )
    modality = modalities.pop()
    with contextlib.ExitStack() as stack:
        part = stack.enter_context(cache.part(encoder.fingerprint, encoder.dim)) if cache else None
        run = _Run(refs, root, encoder, modality, part, limits or DecodeLimits(), downloads, progress)
        run.go(_workers(workers, modality))
    return run.result()


def _workers(wanted: int | None, modality: str) -> int:
    if modality == "text":
        return 0
    return min(len(os.sched_getaffinity(0)), 8) if wanted is None else wanted


@dataclass(slots=True)
class _Content:
    """One distinct content and what became of it; its vector, if it has one, is the row of its number."""

    key: str
    facts: Facts = field(default_factory=dict)
    reason: str | None = None


@dataclass
class _Run:
    refs: Sequence[MediaRef]
    root: Path | None
    encoder: Encoder
    modality: str
    part: CachePart | None
    limits: DecodeLimits
    downloads: Downloads | None
    progress: Progress | None
    contents: list[_Content] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)
    of_ref: list[int | str] = field(default_factory=list)
    """Per ref: its content's number, or the reason it could not be read."""
    seen: dict[tuple[object, ...], Facts] = field(default_factory=dict)
    hits: int = 0
    encoded: int = 0

    def __post_init__(self) -> None:
        self.limits_hash = hashlib.sha256(self.limits.model_dump_json().encode()).hexdigest()[:16]
        # Rows nothing is written to take no memory, so duplicates and refused files cost none.
        self.vectors = np.empty((len(self.refs), self.encoder.dim), dtype=np.float32)
        self.embedded = np.zeros(len(self.refs), dtype=bool)

    def go(self, workers: int) -> None:
        waiting: list[tuple[int, np.ndarray]] = []
        for outcome in self._outcomes(workers):
            content = self.contents[outcome.task]
            if outcome.prepared is None:
                self._refuse(content, outcome)
            else:
                content.facts = self._shared(outcome.prepared.facts)
                waiting.append((outcome.task, outcome.prepared.array))
            if len(waiting) >= self.encoder.batch:
                self._encode(waiting)
                waiting = []
        self._encode(waiting)
        self._tell(len(self.refs))

    def result(self) -> EmbedResult:
        """Vectors by first appearance, whatever order they were made in."""
        good = np.flatnonzero(self.embedded)
        for start in range(0, len(good), _BLOCK):  # rows only move forward: no second copy in memory
            rows = good[start : start + _BLOCK]
            self.vectors[start : start + len(rows)] = self.vectors[rows]
        ids: list[str | None] = []
        reasons: list[str | None] = []
        facts: list[Facts] = []
        for ref, number in zip(self.refs, self.of_ref, strict=True):
            found = _Content("", reason=number) if isinstance(number, str) else self.contents[number]
            ok = found.reason is None
            ids.append(found.key if ok else None)
            reasons.append(found.reason)
            facts.append(({**found.facts, "lang": ref.lang} if ref.lang else found.facts) if ok else {})
        unique = [self.contents[number].key for number in good]
        return EmbedResult(ids, reasons, facts, unique, self.vectors[: len(good)], self.hits, self.encoded)

    def _outcomes(self, workers: int) -> Iterator[Outcome]:
        misses = self._misses()
        preparer = self.encoder.preparer(self.modality)
        if not workers:
            for number, content in misses:
                try:
                    yield Outcome(number, preparer(content, self.limits), None)
                except DecodeError as error:
                    yield Outcome(number, None, str(error))
            return
        first = next(misses, None)  # no process starts for a catalogue that is all in the cache
        if first is None:
            return
        pool = DecodePool(preparer, self.limits, workers, ahead=2 * self.encoder.batch)
        yield from pool.map(itertools.chain([first], misses))

    def _misses(self) -> Iterator[tuple[int, bytes | str]]:
        """Read every ref; yield the contents that are neither known nor in the cache."""
        for ref, _ in zip(self.refs, self._fetched(), strict=True):
            try:
                content = self._read(ref)
            except DecodeError as error:
                self.of_ref.append(str(error))
                continue
            raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
            key = hashlib.sha256(raw).hexdigest()
            number = self.known.get(key)
            if number is not None:
                self.of_ref.append(number)
                continue
            number = self.known[key] = len(self.contents)
            self.contents.append(_Content(key))
            self.of_ref.append(number)
            if not self._from_cache(number):
                yield number, content

    def _fetched(self) -> Iterator[None]:
        if self.downloads is None:
            return itertools.repeat(None, len(self.refs))
        return self.downloads.ahead((ref.uri for ref in self.refs), self.limits)

    def _read(self, ref: MediaRef) -> bytes | str:
        if (ref.uri is None) == (ref.content is None):
            raise DecodeError("needs exactly one of uri and content")
        if ref.content is not None:
            return ref.content
        if self.downloads is not None and is_url(str(ref.uri)):
            return self.downloads.read(str(ref.uri), self.limits)
        if self.root is None:
            raise DecodeError("names a file, but the source has no folder")
        return read_inside(self.root, str(ref.uri), self.limits.bytes)

    def _from_cache(self, number: int) -> bool:
        content = self.contents[number]
        found = self.part.get(content.key) if self.part is not None else None
        if found is None or (found.vector is None and found.limits != self.limits_hash):
            return False
        self.hits += 1
        content.reason = found.reason or self.limits.violation(found.facts)
        if content.reason is None and found.vector is not None:
            content.facts = self._shared(found.facts)
            self._row(number, found.vector)
        return True

    def _refuse(self, content: _Content, outcome: Outcome) -> None:
        content.reason = outcome.reason or "could not be decoded"
        if self.part is not None and outcome.lasting:
            self.part.refuse(content.key, content.reason, self.limits_hash)

    def _encode(self, waiting: list[tuple[int, np.ndarray]]) -> None:
        if not waiting:
            return
        vectors = self.encoder.encode([array for _, array in waiting], self.modality)
        self.encoded += len(waiting)
        for (number, _), vector in zip(waiting, vectors, strict=True):
            content = self.contents[number]
            if not np.isfinite(vector).all() or not vector.any():
                content.reason = f"{self.encoder.name} gave a vector that is zero or not finite"
                continue
            self._row(number, vector)
            if self.part is not None:
                self.part.put(content.key, vector, content.facts)
        self._tell(len(self.of_ref) - 1)

    def _row(self, number: int, vector: np.ndarray) -> None:
        self.vectors[number], self.embedded[number] = vector, True

    def _shared(self, facts: Facts) -> Facts:
        """One object for equal facts: catalogues hold thousands of pictures of one size."""
        if len(self.seen) >= _BLOCK:
            self.seen.clear()
        return self.seen.setdefault(tuple(facts.items()), facts)

    def _tell(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, len(self.refs))
