"""Embeddings kept by content: SHA-256 of the bytes and the encoder's fingerprint, in Arrow files.

A folder per fingerprint, in it `part-<blake2b of the file>.arrow` files, each written under a temporary
name and moved into place, so two writers never meet and a kill leaves only whole parts. A part that does not
match the hash in its name is ignored and encoded anew.
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from common.files import remove_stale
from encoders.cache_files import Cached, Index, Part, count, part_files, read_part, write_rows, write_table
from encoders.errors import EncoderError
from encoders.limits import Facts

_NAME = re.compile(r"[A-Za-z0-9._-]{1,120}")
_FLUSH_BYTES, _FLUSH_SECONDS = 4 * 2**20, 15.0
_MANY_PARTS = 48


class CacheStats(NamedTuple):
    """One fingerprint's share of the cache."""

    fingerprint: str
    vectors: int
    refused: int
    bytes: int
    hits: int
    misses: int


class EmbeddingCache:
    """A folder of embeddings; any number of processes may read and write it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EncoderError(f"embedding cache {folder} cannot be made: {error.strerror}") from error

    @contextlib.contextmanager
    def part(self, fingerprint: str, dim: int) -> Iterator["CachePart"]:
        """The embeddings of one encoder; what was put is on disk when the block ends, whatever ends it."""
        if not _NAME.fullmatch(fingerprint):
            raise EncoderError(f"fingerprint {fingerprint!r} is no file name; use letters, digits, '.', '_' and '-'")
        part = CachePart(self.folder / fingerprint, dim)
        try:
            yield part
        finally:
            part.close()

    def stats(self) -> list[CacheStats]:
        """Sizes and hits of every fingerprint, by name."""
        return [_stats(folder) for folder in self._folders()]

    def prune(self, max_bytes: int) -> int:
        """Delete what killed writers left, then the parts unused for longest until at most `max_bytes` are left;
        returns the bytes freed."""
        parts, freed = [], 0
        for folder in self._folders():
            freed += remove_stale(folder)
            for path in part_files(folder):
                with contextlib.suppress(FileNotFoundError):
                    info = path.stat()
                    parts.append((info.st_mtime_ns, info.st_size, path))
        left = sum(size for _, size, _ in parts)
        for _, size, path in sorted(parts):
            if left <= max_bytes:
                break
            path.unlink(missing_ok=True)
            left, freed = left - size, freed + size
        return freed

    def _folders(self) -> list[Path]:
        return sorted(p for p in self.folder.iterdir() if p.is_dir())


@dataclass
class CachePart:
    """One encoder's embeddings: an index over the parts found at opening, and what is new."""

    folder: Path
    dim: int
    hits: int = 0
    misses: int = 0
    _parts: list[Part] = field(default_factory=list)
    _new: dict[bytes, Cached] = field(default_factory=dict)
    _flushed: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_stale(self.folder)
        self._parts = [part for path in part_files(self.folder) if (part := read_part(path, self.dim)) is not None]
        self._index = Index(self._parts)

    def get(self, key: str) -> Cached | None:
        """What is known of the content with this SHA-256 (hex), or None."""
        raw = bytes.fromhex(key)
        found = self._new.get(raw)
        if found is None and (place := self._index.find(raw)) is not None:
            part, row = place
            found = part.row(row)
        self.hits, self.misses = self.hits + (found is not None), self.misses + (found is None)
        return found

    def put(self, key: str, vector: np.ndarray, facts: Facts) -> None:
        """Keep a vector of `dim` float32 values with the facts of its media."""
        self._new[bytes.fromhex(key)] = Cached(np.asarray(vector, dtype=np.float32), dict(facts))
        self._maybe_flush()

    def refuse(self, key: str, reason: str, limits: str) -> None:
        """Keep that this content was refused, why, and under which limits."""
        self._new[bytes.fromhex(key)] = Cached(None, {}, reason, limits)
        self._maybe_flush()

    def flush(self) -> None:
        """Write what is new to disk as one whole part; it leaves memory, and `get` finds it at the next opening."""
        if self._new:
            write_rows(self.folder, self._new, self.dim)
            self._new = {}
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush, count hits and misses, and mark the parts as just used."""
        self.flush()
        if self.hits or self.misses:
            line = json.dumps({"hits": self.hits, "misses": self.misses}) + "\n"
            with (self.folder / "usage.jsonl").open("a", encoding="utf-8") as file:
                file.write(line)
        for part in self._parts:
            if part.used:
                with contextlib.suppress(OSError):
                    os.utime(part.path)
        self._compact()
        self._parts, self._index, self.hits, self.misses = [], Index([]), 0, 0

    def _maybe_flush(self) -> None:
        full = len(self._new) * (4 * self.dim + 200) >= _FLUSH_BYTES
        if full or time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def _compact(self) -> None:
        """Many small parts become few; whoever reads them meanwhile misses some and encodes again."""
        small = [part for part in self._parts if part.vectors.nbytes < _FLUSH_BYTES / 2]
        if len(small) < _MANY_PARTS:
            return
        group: list[Part] = []
        for part in small:
            group.append(part)
            if sum(p.vectors.nbytes for p in group) >= _FLUSH_BYTES:
                self._merge(group)
                group = []
        self._merge(group)

    def _merge(self, group: list[Part]) -> None:
        if len(group) < 2:
            return
        written = write_table(self.folder, pa.concat_tables([part.table for part in group]).combine_chunks())
        for part in group:
            if part.path != written:
                part.path.unlink(missing_ok=True)


def _stats(folder: Path) -> CacheStats:
    vectors = refused = size = hits = misses = 0
    for path in part_files(folder):
        with contextlib.suppress(OSError):
            size += path.stat().st_size
        good, bad = count(path)
        vectors, refused = vectors + good, refused + bad
    usage = folder / "usage.jsonl"
    for line in usage.read_text(encoding="utf-8").splitlines() if usage.is_file() else ():
        with contextlib.suppress(ValueError):
            counts = json.loads(line)
            hits, misses = hits + int(counts["hits"]), misses + int(counts["misses"])
    return CacheStats(folder.name, vectors, refused, size, hits, misses)
