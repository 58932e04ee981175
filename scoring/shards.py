"""One shard of a batch job: users in, the bytes of one part out."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int

from common.spreadsheet import plain_cells
from gnn.bundle.bundle import Bundle
from gnn.scorers.ranking import masked_scores, row_pairs, top_items, user_blocks
from scoring.approximate import approximate_top
from scoring.config import ScoringConfig
from scoring.diversity import POOL, diversified
from scoring.folders import Folder
from scoring.new_items import place_new_items
from scoring.reasons import Reasons
from scoring.restrictions import Allowed

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
without a history, or `content` for a new item that was given its place or that came after training. Users without
candidates have no rows. With titles there is a last column `title`."""

SIMILAR = ("item_id", "similar_item_id", "rank", "score")
"""Columns of lists of items for items, `title` after them."""


@dataclass(frozen=True)
class Part:
    """What the manifest says of a part."""

    rows: int
    sha256: str


def part_name(number: int, options: ScoringConfig) -> str:
    """`part-00000.parquet`, ..., or as hive partitions `shard=00000/part.parquet`, ..."""
    stem = f"shard={number:05d}/part" if options.partition_by == "shard" else f"part-{number:05d}"
    return f"{stem}.{options.format}"


class Links(NamedTuple):
    """What is written of a shard, user after user, best first."""

    users: Int[np.ndarray, "links"]
    items: Int[np.ndarray, "links"]
    ranks: Int[np.ndarray, "links"]
    scores: Float[np.ndarray, "links"]
    sources: np.ndarray


def make_part(
    bundle: Bundle,
    users: Int[np.ndarray, "shard"],
    options: ScoringConfig,
    allowed: Allowed,
    *,
    similar: bool = False,
    reasons: Reasons | None = None,
) -> tuple[Part, bytes]:
    """The lists of the users (indices), scored against what is allowed, as a file; equal input gives equal bytes.

    `similar`: the users are the items, and the columns `SIMILAR`. With `reasons` a last column `reason`.
    """
    links = _best(bundle, users, options, allowed) if allowed.pairs is None else _given(bundle, users, allowed.pairs)
    user_ids, item_ids = (pa.array(ids, pa.string()) for ids in (bundle.user_ids, bundle.item_ids))
    table = pa.table(
        [
            user_ids.take(pa.array(links.users)),
            item_ids.take(pa.array(links.items)),
            pa.array(links.ranks.astype(np.int32)),
            pa.array(links.scores),
            pa.array(links.sources, pa.string()),
        ],
        schema=SCHEMA,
    )
    if similar:
        table = table.drop("source").rename_columns(list(SIMILAR))
    if options.titles and bundle.titles is not None:
        table = table.append_column("title", pa.array(bundle.titles, pa.string()).take(pa.array(links.items)))
    if reasons is not None:
        why = reasons(bundle.history, links.users, links.items, links.sources)
        table = table.append_column("reason", pa.array(why, pa.string()))
    content = _bytes(table, options.format)
    return Part(len(table), hashlib.sha256(content).hexdigest()), content


def _best(bundle: Bundle, users: Int[np.ndarray, "shard"], options: ScoringConfig, allowed: Allowed) -> Links:
    """The `top_k` best items of each user."""
    seen = sp.csr_matrix(bundle.seen.shape, dtype=np.float32) if allowed.include_seen else bundle.seen
    pool = options.top_k * (1 if allowed.vectors is None else POOL)
    if options.index == "exact":
        items, scores = top_items(bundle.served, torch.from_numpy(users), seen, pool, allowed.limits)
    else:
        items, scores = approximate_top(bundle, users, seen, pool, options.index)
    if allowed.vectors is not None:
        items, scores = diversified(items, scores, allowed.vectors, options.diversity, options.top_k)
    sources = bundle.sources(users, items)
    if options.new_items:
        place_new_items(bundle, users, options.new_items, items, scores, sources)
    kept = items >= 0
    rows, columns = np.nonzero(kept)
    return Links(users[rows], items[kept], columns + 1, scores[kept], sources[kept])


def _given(bundle: Bundle, users: Int[np.ndarray, "shard"], pairs: sp.csr_matrix) -> Links:
    """Each user's given items, ranked among themselves."""
    rows, columns = row_pairs(pairs, torch.from_numpy(users))
    scores, nothing = np.empty(len(rows), np.float32), sp.csr_matrix(pairs.shape, dtype=np.float32)
    for start, block in user_blocks(torch.from_numpy(users), len(bundle.item_ids)):
        own = (rows >= start) & (rows < start + len(block))
        scores[own.numpy()] = masked_scores(bundle.served, block, nothing)[rows[own] - start, columns[own]].numpy()
    row, items = rows.numpy(), columns.numpy()
    order = np.lexsort((items, -scores, row))
    ranks = np.arange(1, len(row) + 1) - np.searchsorted(row, row)  # rows ascend
    sources = np.array(bundle.served.sources(users), dtype=object)[row]
    return Links(users[row], items[order], ranks, scores[order], sources)


def _bytes(table: pa.Table, kind: str) -> bytes:
    sink = pa.BufferOutputStream()
    if kind == "csv":
        pa.csv.write_csv(pa.table([plain_cells(column) for column in table.columns], table.column_names), sink)
    else:
        pq.write_table(table, sink, compression="zstd", row_group_size=1 << 20)
    return bytes(sink.getvalue().to_pybytes())


def is_whole(out: Folder, name: str, part: Part) -> bool:
    """Whether the file is there and is, byte for byte, what was recorded."""
    content = out.read(name)
    return content is not None and hashlib.sha256(content).hexdigest() == part.sha256
