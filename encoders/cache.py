"""Embeddings kept by content: SHA-256 of the bytes and the encoder's fingerprint, in Arrow files.

A folder per fingerprint, in it `part-<blake2b of the file>.arrow` files, each written under a temporary
name and moved into place, so two writers never meet and a kill leaves only whole parts. A part that does not
match the hash in its name is ignored and encoded anew.
"""

import contextlib
import hashlib
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

from encoders.errors import EncoderError
from encoders.limits import Facts
from encoders.partial import keep, partial_file, remove_stale

_PART = re.compile(r"part-([0-9a-f]{40})\.arrow")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,120}")
_FLUSH_BYTES, _FLUSH_SECONDS = 8 * 2**20, 15.0
_MANY_PARTS = 48


class Cached(NamedTuple):
    """What is known of one content: its vector and facts, or the reason it was refused under some limits."""

    vector: np.ndarray | None
    facts: Facts
    reason: str | None = None
    limits: str | None = None


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
            for path in _parts(folder):
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
    _shards: list["_Shard"] = field(default_factory=list)
    _index: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    _new: dict[bytes, Cached] = field(default_factory=dict)
    _flushed: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_stale(self.folder)
        for path in sorted(_parts(self.folder)):
            shard = _read_shard(path, self.dim)
            if shard is None:
                continue
            at = len(self._shards)
            self._shards.append(shard)
            self._index.update({key: (at, row) for row, key in enumerate(shard.keys)})

    def get(self, key: str) -> Cached | None:
        """What is known of the content with this SHA-256 (hex), or None."""
        raw = bytes.fromhex(key)
        found = self._new.get(raw)
        if found is None and raw in self._index:
            shard, row = self._index[raw]
            found = self._shards[shard].row(row)
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
            _write_shard(self.folder, self._new, self.dim)
            self._new = {}
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush, count hits and misses, and mark the parts as just used."""
        self.flush()
        if self.hits or self.misses:
            line = json.dumps({"hits": self.hits, "misses": self.misses}) + "\n"
            with (self.folder / "usage.jsonl").open("a", encoding="utf-8") as file:
                file.write(line)
        for shard in self._shards:
            if shard.used and shard.path is not None:
                with contextlib.suppress(OSError):
                    os.utime(shard.path)
        self._compact()
        self._shards, self._index, self.hits, self.misses = [], {}, 0, 0

    def _maybe_flush(self) -> None:
        full = len(self._new) * (4 * self.dim + 200) >= _FLUSH_BYTES
        if full or time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def _compact(self) -> None:
        """Many small parts become few; whoever reads them meanwhile misses some and encodes again."""
        small = [s for s in self._shards if s.path is not None and s.vectors.nbytes < _FLUSH_BYTES]
        if len(small) < _MANY_PARTS:
            return
        rows: dict[bytes, Cached] = {}
        for shard in small:
            rows.update({key: shard.row(at) for at, key in enumerate(shard.keys)})
        keys, most = list(rows), max(1, _FLUSH_BYTES // (4 * self.dim))
        written = {
            _write_shard(self.folder, {key: rows[key] for key in keys[at : at + most]}, self.dim)
            for at in range(0, len(keys), most)
        }
        for shard in small:
            if shard.path is not None and shard.path not in written:
                shard.path.unlink(missing_ok=True)


@dataclass
class _Shard:
    path: Path | None
    keys: list[bytes]
    vectors: np.ndarray
    known: np.ndarray
    notes: pa.Array
    used: bool = False

    @staticmethod
    def over(table: pa.Table, dim: int, path: Path | None) -> "_Shard":
        table = table.combine_chunks()
        vectors = table["vector"].chunk(0)
        values = vectors.values.to_numpy(zero_copy_only=True).reshape(-1, dim)
        known = vectors.is_valid().to_numpy(zero_copy_only=False)
        return _Shard(path, table["key"].to_pylist(), values, known, table["note"].chunk(0))

    def row(self, at: int) -> Cached:
        self.used = True
        note = json.loads(self.notes[at].as_py())
        vector = self.vectors[at] if self.known[at] else None
        return Cached(vector, note.get("facts", {}), note.get("reason"), note.get("limits"))


def _schema(dim: int) -> pa.Schema:
    return pa.schema([("key", pa.binary(32)), ("vector", pa.list_(pa.float32(), dim)), ("note", pa.string())])


def _table(rows: dict[bytes, Cached], dim: int) -> pa.Table:
    known = [c.vector is not None for c in rows.values()]
    filled = [c.vector if c.vector is not None else np.zeros(dim, dtype=np.float32) for c in rows.values()]
    flat = pa.array(np.concatenate(filled), type=pa.float32())
    vectors = pa.FixedSizeListArray.from_arrays(flat, dim, mask=pa.array([not k for k in known]))
    notes = [json.dumps(_note(c)) for c in rows.values()]
    return pa.Table.from_arrays(
        [pa.array(list(rows), type=pa.binary(32)), vectors, pa.array(notes, type=pa.string())],
        schema=_schema(dim),
    )


def _note(cached: Cached) -> dict[str, object]:
    if cached.reason is None:
        return {"facts": dict(cached.facts)}
    return {"reason": cached.reason, "limits": cached.limits}


def _write_shard(folder: Path, rows: dict[bytes, Cached], dim: int) -> Path:
    sink = pa.BufferOutputStream()
    table = _table(rows, dim)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue()
    name = f"part-{hashlib.blake2b(data, digest_size=20).hexdigest()}.arrow"
    try:
        with partial_file(folder) as file:
            file.write(data)
            keep(file, folder / name)
    except OSError as error:
        raise EncoderError(f"embedding cache {folder} cannot be written: {error.strerror}") from error
    return folder / name


def _read_shard(path: Path, dim: int) -> _Shard | None:
    """The part, memory-mapped, or None if it is damaged, of another shape, or was just pruned."""
    match = _PART.fullmatch(path.name)
    try:
        source = pa.memory_map(str(path))
        if match is None or hashlib.blake2b(source.read_buffer(), digest_size=20).hexdigest() != match.group(1):
            return None
        source.seek(0)
        table = pa.ipc.open_file(source).read_all()
    except (OSError, pa.ArrowInvalid):
        return None
    return _Shard.over(table, dim, path) if table.schema.equals(_schema(dim)) else None


def _parts(folder: Path) -> list[Path]:
    return [p for p in folder.glob("part-*.arrow") if p.is_file()]


def _stats(folder: Path) -> CacheStats:
    vectors = refused = size = hits = misses = 0
    for path in _parts(folder):
        try:
            size += path.stat().st_size
            column = pa.ipc.open_file(pa.memory_map(str(path))).read_all()["vector"]
        except (OSError, pa.ArrowInvalid):
            continue
        vectors, refused = vectors + len(column) - column.null_count, refused + column.null_count
    usage = folder / "usage.jsonl"
    for line in usage.read_text(encoding="utf-8").splitlines() if usage.is_file() else ():
        with contextlib.suppress(ValueError):
            counts = json.loads(line)
            hits, misses = hits + int(counts["hits"]), misses + int(counts["misses"])
    return CacheStats(folder.name, vectors, refused, size, hits, misses)
