"""One shard of a batch job: users in, one whole Parquet part on disk or none."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Int

from gnn.bundle.bundle import Bundle
from gnn.scorers.ranking import top_items
from scoring.errors import ScoringError

SCHEMA = pa.schema([("user_id", pa.string()), ("item_id", pa.string()), ("rank", pa.int32()), ("score", pa.float32())])
"""Columns of every part; `rank` counts from 1. Users without candidates have no rows."""


@dataclass(frozen=True)
class Part:
    """What the manifest says of a part."""

    rows: int
    sha256: str


def part_name(number: int) -> str:
    """`part-00000.parquet`, ..."""
    return f"part-{number:05d}.parquet"


def write_part(bundle: Bundle, users: Int[np.ndarray, "shard"], top_k: int, path: Path) -> Part:
    """Score the users (indices) against all items and write their lists; equal input gives equal bytes."""
    items, scores = top_items(bundle.scorer, torch.from_numpy(users), bundle.seen, top_k)
    kept = items >= 0
    rows, columns = np.nonzero(kept)
    user_ids, item_ids = (pa.array(ids, pa.string()) for ids in (bundle.user_ids, bundle.item_ids))
    table = pa.table(
        [
            user_ids.take(pa.array(users[rows])),
            item_ids.take(pa.array(items[kept])),
            pa.array((columns + 1).astype(np.int32)),
            pa.array(scores[kept]),
        ],
        schema=SCHEMA,
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=1 << 20)
    content = sink.getvalue().to_pybytes()
    write_whole(path, content)
    return Part(len(table), hashlib.sha256(content).hexdigest())


def is_whole(path: Path, part: Part) -> bool:
    """Whether the file is there and is, byte for byte, what was recorded."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == part.sha256


def write_whole(path: Path, content: bytes) -> None:
    """Write a temporary file beside it, flush, rename: neither a kill nor a full disk leaves half a file.

    Raises `ScoringError` where the disk is full or refuses.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ScoringError(
            f"{path}: cannot be written ({error.strerror}); make room or choose another folder"
        ) from error
