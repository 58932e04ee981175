"""Media to embeddings: read, hash, look up, decode in a pool, encode in batches, keep.

Only ids, facts and vectors stay in memory; decoded media wait in one bounded queue.
"""

import contextlib
import hashlib
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from common.machine import cpu_count
from common.progress import Progress
from encoders.base import Encoder
from encoders.cache import CachePart, EmbeddingCache
from encoders.contents import Contents, EmbedResult, MediaRef
from encoders.downloads import Downloads
from encoders.errors import DecodeError, EncoderError
from encoders.limits import DecodeLimits
from encoders.pool import DecodePool, Outcome
from encoders.reading import MediaReader


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
    0 decodes in this process, as texts always are, and everything on Windows.
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
        run = _Run(refs, encoder, modality, MediaReader(root, limits or DecodeLimits(), downloads), part, progress)
        return run.go(_workers(workers, modality))


def _workers(wanted: int | None, modality: str) -> int:
    if modality == "text" or sys.platform == "win32":  # Windows hands no socket to a child by its number
        return 0
    return min(cpu_count(), 8) if wanted is None else wanted


class _Run:
    """One call of `embed_media`: contents are read, looked up, decoded and encoded, and noted in `contents`."""

    def __init__(
        self,
        refs: Sequence[MediaRef],
        encoder: Encoder,
        modality: str,
        reader: MediaReader,
        cache: CachePart | None,
        progress: Progress | None,
    ) -> None:
        self.refs, self.encoder, self.modality = refs, encoder, modality
        self.reader, self.cache, self.progress = reader, cache, progress
        self.limits_hash = hashlib.sha256(reader.limits.model_dump_json().encode()).hexdigest()[:16]
        self.contents = Contents(len(refs), encoder.dim)
        self.hits = self.encoded = 0

    def go(self, workers: int) -> EmbedResult:
        waiting: list[tuple[int, np.ndarray]] = []
        for outcome in self._outcomes(workers):
            if outcome.prepared is None:
                self._refuse(outcome)
                continue
            self.contents.describe(outcome.task, outcome.prepared.facts)
            waiting.append((outcome.task, outcome.prepared.array))
            if len(waiting) >= self.encoder.batch:
                self._encode(waiting)
                waiting = []
        self._encode(waiting)
        self._tell(len(self.refs))
        return self.contents.result(self.refs, hits=self.hits, encoded=self.encoded)

    def _outcomes(self, workers: int) -> Iterator[Outcome]:
        """What decoding made of every content that is neither known nor in the cache."""
        misses, limits = self._misses(), self.reader.limits
        preparer = self.encoder.preparer(self.modality)
        if not workers:
            for number, content in misses:
                try:
                    yield Outcome(number, preparer(content, limits), None)
                except DecodeError as error:
                    yield Outcome(number, None, str(error))
            return
        first = next(misses, None)  # no process starts for a catalogue that is all in the cache
        if first is None:
            return
        pool = DecodePool(preparer, limits, workers, ahead=2 * self.encoder.batch)
        yield from pool.map(itertools.chain([first], misses))

    def _misses(self) -> Iterator[tuple[int, bytes | str]]:
        for content in self.reader.each(self.refs):
            if isinstance(content, DecodeError):
                self.contents.meet_unreadable(str(content))
                continue
            raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
            number = self.contents.meet(hashlib.sha256(raw).hexdigest())
            if number is not None and not self._from_cache(number):
                yield number, content

    def _from_cache(self, number: int) -> bool:
        found = self.cache.get(self.contents.key(number)) if self.cache is not None else None
        if found is None or (found.vector is None and found.limits != self.limits_hash):
            return False
        self.hits += 1
        reason = found.reason or self.reader.limits.violation(found.facts)
        if reason is not None:
            self.contents.refuse(number, reason)
        elif found.vector is not None:
            self.contents.describe(number, found.facts)
            self.contents.embed(number, found.vector)
        return True

    def _refuse(self, outcome: Outcome) -> None:
        reason = outcome.reason or "could not be decoded"
        self.contents.refuse(outcome.task, reason)
        if self.cache is not None and outcome.lasting:
            self.cache.refuse(self.contents.key(outcome.task), reason, self.limits_hash)

    def _encode(self, waiting: list[tuple[int, np.ndarray]]) -> None:
        if not waiting:
            return
        vectors = self.encoder.encode([array for _, array in waiting], self.modality)
        self.encoded += len(waiting)
        for (number, _), vector in zip(waiting, vectors, strict=True):
            if not np.isfinite(vector).all() or not vector.any():
                self.contents.refuse(number, f"{self.encoder.name} gave a vector that is zero or not finite")
                continue
            self.contents.embed(number, vector)
            if self.cache is not None:
                self.cache.put(self.contents.key(number), vector, self.contents.facts(number))
        self._tell(self.contents.met - 1)

    def _tell(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, len(self.refs))
