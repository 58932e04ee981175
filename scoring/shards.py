"""One shard of a batch job: users in, one whole Parquet part on disk or none."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import torch
from jaxtyping import Int

from common.files import sha256_of, write_bytes
from common.spreadsheet import plain_cells
from gnn.bundle.bundle import Bundle
from gnn.scorers.ranking import top_items
from scoring.config import ScoringConfig
from scoring.errors import ScoringError
from scoring.new_items import place_new_items

SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("rank", pa.int32()),
        ("score", pa.float32()),
        ("source", pa.string()),
    ]
)
"""Columns of every part; `rank` counts from 1, `source` is what ranked the item: `model`, `popularity` for a user
without a history, or `content` for a new item that was given its place. Users without candidates have no rows.
With titles there is a last column `title`."""


@dataclass(frozen=True)
class Part:
    """What the manifest says of a part."""

    rows: int
    sha256: str


def part_name(number: int, kind: str) -> str:
    """`part-00000.parquet`, ..."""
    return f"part-{number:05d}.{kind}"


def write_part(bundle: Bundle, users: Int[np.ndarray, "shard"], options: ScoringConfig, path: Path) -> Part:
    """Score the users (indices) against all items and write their lists; equal input gives equal bytes."""
    items, scores = top_items(bundle.served, torch.from_numpy(users), bundle.seen, options.top_k)
    sources = np.repeat(np.array(bundle.served.sources(users), dtype=object)[:, None], options.top_k, axis=1)
    if options.new_items:
        place_new_items(bundle, users, options.new_items, items, scores, sources)
    kept = items >= 0
    rows, columns = np.nonzero(kept)
    user_ids, item_ids = (pa.array(ids, pa.string()) for ids in (bundle.user_ids, bundle.item_ids))
    table = pa.table(
        [
            user_ids.take(pa.array(users[rows])),
            item_ids.take(pa.array(items[kept])),
            pa.array((columns + 1).astype(np.int32)),
            pa.array(scores[kept]),
            pa.array(sources[kept], pa.string()),
        ],
        schema=SCHEMA,
    )
    if options.titles and bundle.titles is not None:
        table = table.append_column("title", pa.array(bundle.titles, pa.string()).take(pa.array(items[kept])))
    content = _bytes(table, options.format)
    write_whole(path, content)
    return Part(len(table), hashlib.sha256(content).hexdigest())


def _bytes(table: pa.Table, kind: str) -> bytes:
    sink = pa.BufferOutputStream()
    if kind == "csv":
        pa.csv.write_csv(pa.table([plain_cells(column) for column in table.columns], table.column_names), sink)
    else:
        pq.write_table(table, sink, compression="zstd", row_group_size=1 << 20)
    return bytes(sink.getvalue().to_pybytes())


def is_whole(path: Path, part: Part) -> bool:
    """Whether the file is there and is, byte for byte, what was recorded."""
    return path.is_file() and sha256_of(path) == part.sha256


def write_whole(path: Path, content: bytes) -> None:
    """Write the bytes, whole or not at all. Raises `ScoringError` where the disk is full or refuses."""
    try:
        write_bytes(path, content)
    except OSError as error:
        raise ScoringError(
            f"{path}: cannot be written ({error.strerror}); make room or choose another folder"
        ) from error
