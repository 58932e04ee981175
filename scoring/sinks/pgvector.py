"""Vectors as one SQL file for PostgreSQL with pgvector: `psql DATABASE -f vectors.sql` loads it in a transaction."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from common.files import write_json, write_whole
from common.progress import Progress
from gnn.bundle.vectors import ModelVectors
from scoring.errors import ScoringError
from scoring.sinks import Access
from scoring.sinks.parquet import FACTS, check_folder, facts

FILE = "vectors.sql"
MAX_DIMENSIONS = 2_000
"""The longest vectors that pgvector indexes."""

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\b": "\\b", "\f": "\\f", "\v": "\\v"})
_START = """\
-- Vectors of a Modalweave model: higher inner products are better.
-- The best items of a user, and the items most like one:
--   SELECT i.item_id, -(i.vector <#> u.vector) AS score FROM modalweave_users u, modalweave_items i
--     WHERE u.user_id = 'USER' ORDER BY i.vector <#> u.vector LIMIT 20;
--   SELECT b.item_id FROM modalweave_items a, modalweave_items b
--     WHERE a.item_id = 'ITEM' AND b.item_id <> a.item_id ORDER BY a.vector <=> b.vector LIMIT 20;
\\set ON_ERROR_STOP on
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
BEGIN;
CREATE EXTENSION IF NOT EXISTS vector;
DROP TABLE IF EXISTS modalweave_users, modalweave_items;
CREATE TABLE modalweave_users (user_id text PRIMARY KEY, vector vector({size}) NOT NULL);
CREATE TABLE modalweave_items (item_id text PRIMARY KEY, title text, vector vector({size}) NOT NULL);
"""
_END = """\
CREATE INDEX modalweave_items_inner ON modalweave_items USING hnsw (vector vector_ip_ops);
CREATE INDEX modalweave_items_cosine ON modalweave_items USING hnsw (vector vector_cosine_ops);
CREATE INDEX modalweave_users_cosine ON modalweave_users USING hnsw (vector vector_cosine_ops);
COMMIT;
"""


def write(vectors: ModelVectors, target: str, access: Access, progress: Progress | None) -> int:
    """Write `vectors.sql` into the folder `target`; no server is asked."""
    folder = Path(target)
    check_folder(folder, {FILE, FACTS}, FACTS)
    if vectors.dimensions > MAX_DIMENSIONS:
        raise ScoringError(
            f"pgvector indexes {MAX_DIMENSIONS} dimensions, these vectors have {vectors.dimensions}; lower --dimensions"
        )

    def fill(path: Path) -> None:
        with path.open("wb") as file:
            file.write(_START.format(size=vectors.dimensions).encode())
            _copy(file, "modalweave_users (user_id, vector)", [vectors.user_ids], vectors.users)
            if progress:
                progress(1, 2)
            titles = vectors.titles or [None] * len(vectors.item_ids)
            _copy(file, "modalweave_items (item_id, title, vector)", [vectors.item_ids, titles], vectors.items)
            file.write(_END.encode())

    write_whole(folder / FILE, fill)
    write_json(folder / FACTS, facts(vectors))
    if progress:
        progress(2, 2)
    return len(vectors.users) + len(vectors.items)


def _copy(file: BinaryIO, into: str, texts: Sequence[Sequence[str | None]], matrix: np.ndarray) -> None:
    """One COPY in text format."""
    file.write(f"COPY {into} FROM stdin;\n".encode())
    for line in _lines(texts, matrix):
        file.write(line.encode())
    file.write(b"\\.\n")


def _lines(texts: Sequence[Sequence[str | None]], matrix: np.ndarray) -> Iterator[str]:
    for *values, row in zip(*texts, matrix, strict=True):
        numbers = ",".join(f"{number:.9g}" for number in row.tolist())  # nine digits tell all float32 apart
        yield "\t".join([*map(_text, values), f"[{numbers}]"]) + "\n"


def _text(value: str | None) -> str:
    if value is None:
        return "\\N"
    if "\0" in value:
        raise ScoringError(f"id or title {value[:40]!r} holds a zero character, which PostgreSQL cannot; rename it")
    return value.translate(_ESCAPES)
