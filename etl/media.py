"""From given vectors, given neighbour lists and raw media to media nodes and the links that lead to them.

- Given vectors are used as they are (encoder "given"); raw media of that modality are then not encoded.
- Raw media go through an encoder; what cannot be read or decoded is rejected with its reason.
- Given neighbour lists link the items' own nodes; an item without one gets a node without a vector.

Nodes are named by content: equal vectors, equal bytes and equal texts share one node.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from common.progress import Progress
from encoders import DecodeLimits
from encoders.base import Encoder
from encoders.cache import EmbeddingCache
from encoders.contents import EmbedResult, MediaRef
from encoders.downloads import Downloads
from encoders.embedding import embed_media
from etl.coverage_warnings import told
from etl.errors import SourceError
from etl.refused import refused
from etl.sources.origin import label_of
from etl.tables import PROVENANCE, QUARANTINE, Tables
from graph.schema import MEDIA_LABELS, MODALITIES, EdgeType, GraphSchema

GIVEN = "given"
"""The `encoder` of vectors and neighbour lists that came with the source."""

_LINK = pa.schema([("source", pa.string()), ("target", pa.string()), ("role", pa.string()), ("position", pa.int64())])
Row = dict[str, Any]


@dataclass
class MediaVectors:
    """Vectors of one modality from one encoder."""

    encoder: str
    ids: list[str]
    vectors: np.ndarray
    """float32 [ids, dim]."""


@dataclass
class MediaGraph:
    """Media nodes and links, ready for a store."""

    nodes: dict[str, pa.Table] = field(default_factory=dict)
    """Modality -> rows of its label."""
    has: dict[str, pa.Table] = field(default_factory=dict)
    """Modality -> `source` (item), `target` (media node), `role`, `position`."""
    vectors: dict[str, MediaVectors] = field(default_factory=dict)
    """Modality -> the vectors that its nodes carry."""
    similar: dict[EdgeType, pa.Table] = field(default_factory=dict)
    """Edge type -> `source`, `target`, `score`, `encoder`; filled by `etl.media_links`."""
    rejected: pa.Table = field(default_factory=QUARANTINE.empty_table)
    """`QUARANTINE`: media that could not be used."""

    @property
    def dimensions(self) -> dict[str, int]:
        """Media label -> length of its vectors."""
        return {MEDIA_LABELS[m]: v.vectors.shape[1] for m, v in self.vectors.items()}


def build_media(
    tables: Tables,
    encoders: Mapping[str, Encoder | None],
    *,
    cache: EmbeddingCache | None = None,
    limits: DecodeLimits | None = None,
    downloads: Downloads | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> MediaGraph:
    """Media nodes and HAS_* links of validated tables.

    Without an encoder a modality leaves its raw media out, without `downloads` its URLs. `progress` counts pieces of
    raw media. Bad media are in `rejected`; `EncoderError` is for an encoder that cannot run.
    """
    graph = MediaGraph()
    raw = {m: rows for m in MODALITIES if m not in tables.embeddings and (rows := _rows(tables, m))}
    wanted = {m: encoder for m, encoder in encoders.items() if encoder is not None and m in raw}
    total, done = sum(len(raw[m]) for m in wanted), 0
    for modality in MODALITIES:
        parts = []
        if modality in tables.embeddings:
            parts.append(_given(graph, tables, modality))
        elif modality in wanted:
            report = None if progress is None else _offset(progress, done, total)
            refs = [MediaRef(modality, row["uri"], row["content"], row["lang"]) for row in raw[modality]]
            encoder, root = wanted[modality], tables.root
            result = embed_media(
                refs,
                root=root,
                encoder=encoder,
                cache=cache,
                limits=limits,
                downloads=downloads,
                workers=workers,
                progress=report,
            )
            done += len(refs)
            parts.append(_encoded(graph, raw[modality], encoder.fingerprint, result))
        if modality in tables.neighbours:
            own = {item for part in parts for item, _, _ in part.links}
            parts.append(_placeholders(tables.neighbours[modality], modality, own))
        links = [link for part in parts for link in part.links]
        if links:
            rows = [row for part in parts for row in part.nodes]
            graph.nodes[modality] = _nodes(modality, rows, graph.vectors.get(modality))
            graph.has[modality] = _links(links)
    return graph


def refuse_nothing_left(tables: Tables, graph: MediaGraph) -> None:
    """Raise `SourceError` where media were given and every one of them was left out: a wrong folder, no network."""
    wanted = 0 if tables.media is None else len(tables.media)
    if wanted and len(graph.rejected) == wanted:
        first = refused(graph.rejected)[0]
        raise SourceError(
            f"{label_of(tables.media, 'media')}: all {wanted:,} rows are refused ({told(first)}); correct them, or "
            "remove the file"
        )


class _Part(NamedTuple):
    """Nodes from one origin, and `(item, node, role)` links to them."""

    nodes: list[Row]
    links: list[tuple[str, str, str]]


def _offset(progress: Progress, before: int, total: int) -> Progress:
    return lambda done, _: progress(before + done, total)


def _rows(tables: Tables, modality: str) -> list[Row]:
    if tables.media is None:
        return []
    rows: list[Row] = tables.media.filter(pc.equal(tables.media["modality"], modality)).to_pylist()
    return rows


def _given(graph: MediaGraph, tables: Tables, modality: str) -> _Part:
    """Equal vectors share a node, which shows the raw media (uri or text) of its first item, if any."""
    table = tables.embeddings[modality]
    items = table["item_id"].to_pylist()
    flat = pa.concat_arrays(table["vector"].chunks).flatten() if len(items) else pa.array([], pa.float32())
    vectors = flat.to_numpy(zero_copy_only=False).reshape(len(items), -1).astype("<f4") + np.float32(0)
    shown: dict[str, Row] = {}
    for row in _rows(tables, modality):
        shown.setdefault(row["item_id"], {"uri": row["uri"], "content": row["content"], "lang": row["lang"]})
    ids = [hashlib.sha256(vector.tobytes()).hexdigest() for vector in vectors]
    first = {media: row for row, media in reversed(list(enumerate(ids)))}
    unique = list(dict.fromkeys(ids))
    if unique:
        graph.vectors[modality] = MediaVectors(GIVEN, unique, vectors[[first[media] for media in unique]])
    nodes = [{"id": media, **shown.get(items[first[media]], {})} for media in unique]
    return _Part(nodes, [(item, media, "main") for item, media in zip(items, ids, strict=True)])


def _encoded(graph: MediaGraph, rows: list[Row], encoder: str, result: EmbedResult) -> _Part:
    nodes: dict[str, Row] = {}
    links, refused = [], []
    for row, media, facts, reason in zip(rows, result.ids, result.facts, result.reasons, strict=True):
        if media is None:
            refused.append({**{name: row.get(name) for name in QUARANTINE.names}, "reason": reason})
            continue
        written = {name: row.get(name) for name in PROVENANCE.names}
        nodes.setdefault(media, {"id": media, "uri": row["uri"], "content": row["content"], **written, **facts})
        links.append((row["item_id"], media, row["role"] or "main"))
    if nodes:
        graph.vectors[rows[0]["modality"]] = MediaVectors(encoder, result.unique_ids, result.vectors)
    graph.rejected = pa.concat_tables([graph.rejected, pa.Table.from_pylist(refused, QUARANTINE)])
    return _Part(list(nodes.values()), links)


def _placeholders(table: pa.Table, modality: str, own: set[str]) -> _Part:
    items = sorted({*table["item_id"].to_pylist(), *table["neighbour_id"].to_pylist()} - own)
    ids = [hashlib.sha256(f"{GIVEN}:{modality}:{item}".encode()).hexdigest() for item in items]
    links = [(item, media, "main") for item, media in zip(items, ids, strict=True)]
    return _Part([{"id": media} for media in ids], links)


def _nodes(modality: str, rows: list[Row], vectors: MediaVectors | None) -> pa.Table:
    """Rows of the label's schema, by id; a node without a vector has none and encoder "given"."""
    schema = GraphSchema().nodes[MEDIA_LABELS[modality]].properties
    rows = sorted({row["id"]: row for row in reversed(rows)}.values(), key=lambda row: row["id"])
    vectors = vectors or MediaVectors(GIVEN, [], np.empty((0, 0), np.float32))
    place = {media: i for i, media in enumerate(vectors.ids)}
    present = np.array([row["id"] in place for row in rows])
    offsets = np.concatenate([[0], np.cumsum(present * vectors.vectors.shape[1])]).astype(np.int32)
    flat = vectors.vectors[[place[row["id"]] for row in rows if row["id"] in place]].ravel()
    embedding = pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat), mask=pa.array(~present))
    columns = {f.name: pa.array([row.get(f.name) for row in rows], f.type) for f in schema if f.name != "embedding"}
    columns["encoder"] = pa.array(np.where(present, vectors.encoder, GIVEN).tolist(), pa.string())
    return pa.table({**columns, "embedding": embedding}).select(schema.names).cast(schema)


def _links(rows: list[tuple[str, str, str]]) -> pa.Table:
    """One row for each (item, node, role); `position` counts an item's media in the order of the source."""
    frame = pl.DataFrame(rows, schema=["source", "target", "role"], orient="row").unique(maintain_order=True)
    return frame.with_columns(position=pl.int_range(pl.len()).over("source")).to_arrow().cast(_LINK)
