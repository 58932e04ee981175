"""One file of the embedding cache: an Arrow table of keys, vectors and notes, named by its own hash."""

import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from common.files import keep, partial_file
from encoders.errors import EncoderError
from encoders.limits import Facts

_NAME = re.compile(r"part-([0-9a-f]{40})\.arrow")


class Cached(NamedTuple):
    """What is known of one content: its vector and facts, or the reason it was refused under some limits."""

    vector: np.ndarray | None
    facts: Facts
    reason: str | None = None
    limits: str | None = None


@dataclass
class Part:
    """A part file, memory-mapped."""

    path: Path
    table: pa.Table
    vectors: Float[np.ndarray, "rows dim"]
    known: Bool[np.ndarray, "rows"]
    used: bool = False

    def key(self, row: int) -> bytes:
        """SHA-256 of the content."""
        return bytes(self.table["key"][row].as_py())

    def row(self, row: int) -> Cached:
        """What the row holds."""
        self.used = True
        note = json.loads(self.table["note"][row].as_py())
        vector = self.vectors[row] if self.known[row] else None
        # the names of facts are few: one string each in memory, however many rows there are
        facts = {sys.intern(name): value for name, value in note.get("facts", {}).items()}
        return Cached(vector, facts, note.get("reason"), note.get("limits"))


class Index:
    """Key -> (part, row), in 16 bytes a row: a catalogue of millions fits."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        starts = [_starts(part) for part in parts]
        heads = np.concatenate(starts) if starts else np.empty(0, np.uint64)
        order = np.argsort(heads, kind="stable")
        self._heads = heads[order]
        self._part = np.repeat(np.arange(len(parts), dtype=np.uint32), [len(s) for s in starts])[order]
        rows = [np.arange(len(s), dtype=np.uint32) for s in starts]
        self._row = np.concatenate(rows)[order] if rows else np.empty(0, np.uint32)

    def find(self, key: bytes) -> tuple[Part, int] | None:
        """Where the content with this SHA-256 lies."""
        head = np.frombuffer(key[:8], np.uint64)[0]
        at = int(np.searchsorted(self._heads, head))
        while at < len(self._heads) and self._heads[at] == head:
            part, row = self._parts[self._part[at]], int(self._row[at])
            if part.key(row) == key:
                return part, row
            at += 1
        return None


def part_files(folder: Path) -> list[Path]:
    """The part files of a folder, by name."""
    return sorted(p for p in folder.glob("part-*.arrow") if p.is_file())


def read_part(path: Path, dim: int) -> Part | None:
    """The part, or None if it is damaged, of another shape, or was just pruned."""
    match = _NAME.fullmatch(path.name)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
        if match is None or digest != match.group(1):
            return None
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
    except (OSError, pa.ArrowInvalid):
        return None
    if not table.schema.equals(_schema(dim)) or not len(table):
        return None
    column = table["vector"].chunk(0)
    vectors = column.values.to_numpy(zero_copy_only=True).reshape(-1, dim)
    return Part(path, table, vectors, column.is_valid().to_numpy(zero_copy_only=False))


def count(path: Path) -> tuple[int, int]:
    """Vectors and refusals in a part file; (0, 0) where it cannot be read."""
    try:
        column = pa.ipc.open_file(pa.memory_map(str(path))).read_all()["vector"]
    except (OSError, pa.ArrowInvalid):
        return 0, 0
    return len(column) - column.null_count, column.null_count


def write_rows(folder: Path, rows: Mapping[bytes, Cached], dim: int) -> Path:
    """Write one part with these rows."""
    return write_table(folder, _table(rows, dim))


def write_table(folder: Path, table: pa.Table) -> Path:
    """Write one whole part; `EncoderError` where the disk refuses."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue()
    path = folder / f"part-{hashlib.blake2b(data, digest_size=20).hexdigest()}.arrow"
    try:
        with partial_file(folder) as file:
            file.write(data)
            keep(file, path)
    except OSError as error:
        raise EncoderError(f"embedding cache {folder} cannot be written: {error.strerror}") from error
    return path


def _schema(dim: int) -> pa.Schema:
    return pa.schema([("key", pa.binary(32)), ("vector", pa.list_(pa.float32(), dim)), ("note", pa.string())])


def _table(rows: Mapping[bytes, Cached], dim: int) -> pa.Table:
    known = [c.vector is not None for c in rows.values()]
    flat = np.zeros((len(rows), dim), dtype=np.float32)
    for row, cached in enumerate(rows.values()):
        if cached.vector is not None:
            flat[row] = cached.vector
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), dim, mask=pa.array([not k for k in known]))
    notes = [json.dumps(_note(c)) for c in rows.values()]
    return pa.Table.from_arrays(
        [pa.array(list(rows), type=pa.binary(32)), vectors, pa.array(notes, type=pa.string())],
        schema=_schema(dim),
    )


def _note(cached: Cached) -> dict[str, object]:
    if cached.reason is None:
        return {"facts": dict(cached.facts)}
    return {"reason": cached.reason, "limits": cached.limits}


def _starts(part: Part) -> np.ndarray:
    """The first 8 bytes of every key."""
    keys = part.table["key"].chunk(0)
    raw = np.frombuffer(keys.buffers()[1], np.uint8, 32 * len(keys), 32 * keys.offset)
    return np.ascontiguousarray(raw.reshape(-1, 32)[:, :8]).view(np.uint64).ravel()
