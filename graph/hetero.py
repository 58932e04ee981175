"""A graph store as `torch_geometric.data.HeteroData`: the same graph gives the same tensors from every store.

Only `split = "train"` interactions become message edges. Held-out pairs are label edges: no layer that passes
messages along `edge_index` can see one. `RECOMMENDED` (what a model wrote back) is never read.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import torch
from torch_geometric.data import HeteroData
from torch_geometric.data.storage import BaseStorage

from common.progress import Progress
from graph.errors import StoreError
from graph.schema import GENERATED, HAS, MEDIA_LABELS, ORIGIN, EdgeType, GraphSchema, NodeKind
from graph.store import GraphStore

INTERACTED = EdgeType("User", "INTERACTED", "Item")
HELD_OUT = ("valid", "test")
"""The splits that are label edges only."""
SEEN = "seen"
"""The split of what was seen and not liked: no edge of any kind."""

_BESIDE = ("_label_weight", "_label_timestamp")
"""What is known of held-out pairs beside their ends."""

_INTERACTION = {"edge_index", "weight", "timestamp", "not_liked_label_index"}
"""What `everything` says of interactions, beside the emptied held-out ones."""

_NODE_TYPES = ("User", "Item", *MEDIA_LABELS.values(), "Entity")
_SHARED = 0.5
"""Different values for each item that has one, up to which an attribute is one that items share."""

_PLAIN = (EdgeType("User", "FOLLOWS", "User"), *(EdgeType("Item", HAS[m], MEDIA_LABELS[m]) for m in HAS))
_RELATED = (EdgeType("Item", "RELATED", "Entity"), EdgeType("Entity", "RELATED", "Entity"))
_ORIGIN = {"Text": ("source",)}
"""Label -> the column that says who wrote its nodes."""
_SIMILAR = tuple(edge for edge in GraphSchema().relationships if edge.relation == "SIMILAR")


VectorLookup = Callable[[str, str, Sequence[str]], np.ndarray | None]
"""`(label, encoder, node ids)` -> float32 `[ids, dim]`, or None where one of them is not at hand."""


def read_hetero(
    store: GraphStore,
    *,
    vectors: VectorLookup | None = None,
    progress: Progress | None = None,
) -> HeteroData:
    """Read the whole graph; every node and edge type of the schema is there, possibly empty.

    Nodes are ordered by id (UTF-8 bytes), edges by source, target and what tells parallel ones apart.

    * `data[label].ids` list[str], `.num_nodes`; media also `.x` float32 `[n, dim]` (dim 0 where no node has a
      vector, zeros where one has none) and `.mask` bool `[n]` (has a vector)
    * `data["User", "INTERACTED", "Item"]`: `.edge_index` int64 `[2, E]` of the train split, `.weight` float32
      (1 where unknown), `.timestamp` int64 seconds (0 where unknown), `.valid_label_index` and
      `.test_label_index` int64 `[2, n]`; all of these are positives: what was seen and not liked (a weight of 0 or
      less) is in `.not_liked_label_index` int64 `[2, n]` only, whatever its split; `.valid_label_weight`,
      `.valid_label_timestamp` and those of test are for `everything` alone
    * `SIMILAR`: `.edge_index`, `.score` float32; `RELATED`: `.edge_index`, `.relation` int64 codes into
      `data.relations` (sorted names); `FOLLOWS` and `HAS_*`: `.edge_index`
    * `.generated` bool of texts and of items' `RELATED` links: which of them a language model wrote; there only where
      any is (`graph.generated`)
    * `data.attributes`: name -> int64 codes `[items]` (-1 where an item has no value) of those attributes of items,
      texts and yes or no, of whose values most are shared
    * `data.schema_hash`: of the schema of this graph, its attributes and vector lengths included

    `vectors` is asked for the vectors of each media label before the store is, which sends them slowly.
    `progress(done, total)` is called after each node and edge type. Raises `StoreError` for an interaction
    without a known split, or media vectors of different lengths under one label.
    """
    data = HeteroData()
    total = len(_NODE_TYPES) + 1 + len(_PLAIN) + len(_RELATED) + len(_SIMILAR)
    steps = iter(range(1, total + 1))

    def advance() -> None:
        if progress is not None:
            progress(next(steps), total)

    indices: dict[str, pl.DataFrame] = {}
    for label in _NODE_TYPES:
        indices[label] = _read_nodes(store, label, data, vectors)
        advance()
    _add_interactions(store, indices, data)
    advance()
    for edge in _PLAIN:
        discriminators = GraphSchema().relationships[edge].discriminators
        frame = _read_edges(store, edge, discriminators, indices, sort=discriminators)
        data[edge].edge_index = _edge_index(frame)
        advance()
    for edge in _SIMILAR:
        frame = _read_edges(store, edge, ("score", "encoder"), indices, sort=("encoder",))
        data[edge].edge_index = _edge_index(frame)
        data[edge].score = _tensor(frame["score"].fill_null(0.0), np.float32)
        advance()
    _add_relations(store, indices, data, advance)
    data.attributes = _shared_attributes(store, indices["Item"])
    data.schema_hash = _schema(store, data).hash()
    return data


def everything(data: HeteroData) -> HeteroData:
    """The graph with every positive as a training interaction and none held out, ordered as `read_hetero` orders."""
    whole, edges = copy(data), data[INTERACTED]
    indices, weights, timestamps = [edges.edge_index], [edges.weight], [edges.timestamp]
    for split in HELD_OUT:
        indices.append(edges[f"{split}_label_index"])
        weights.append(edges[f"{split}_label_weight"])
        timestamps.append(edges[f"{split}_label_timestamp"])
    index = torch.cat(indices, dim=1)
    order = torch.from_numpy(np.lexsort((index[1].numpy(), index[0].numpy())))
    target = whole[INTERACTED]
    for name in set(target.keys()) - _INTERACTION:
        del target[name]  # of the training interactions alone
    target.edge_index = index[:, order].contiguous()
    target.weight, target.timestamp = torch.cat(weights)[order], torch.cat(timestamps)[order]
    for split in HELD_OUT:
        for name in ("index", "weight", "timestamp"):
            target[f"{split}_label_{name}"] = edges[f"{split}_label_{name}"][..., :0]
    return whole


def graph_hash(data: HeteroData) -> str:
    """SHA-256 (hex) over every id, tensor and relation name: equal for equal graphs, whatever the store."""
    digest = hashlib.sha256(json.dumps(list(data.relations)).encode())
    for name, codes in sorted(getattr(data, "attributes", {}).items()):
        digest.update(f"\0{name}\0".encode() + codes.numpy().tobytes())
    for kind in (*data.node_types, *data.edge_types):
        for name, value in sorted(data[kind].items()):
            if name == "not_liked_label_index" and not value.numel():
                continue  # so that a graph without dislikes keeps the hash it always had
            if name.endswith(_BESIDE):
                continue  # nothing that is measured reads them
            digest.update(f"\0{'|'.join([kind] if isinstance(kind, str) else kind)}.{name}\0".encode())
            if isinstance(value, torch.Tensor):
                digest.update(f"{value.dtype}{tuple(value.shape)}\0".encode())
                digest.update(value.contiguous().numpy().tobytes())
            else:
                digest.update(json.dumps(value).encode())
    return digest.hexdigest()


def _schema(store: GraphStore, data: HeteroData) -> GraphSchema:
    """The schema of this very graph: with its users' and items' attributes and its vectors' lengths."""
    schema = GraphSchema()
    for label in ("User", "Item"):
        found, own = store.attributes(label), schema.nodes[label].properties
        kind = NodeKind(label, pa.schema([*own, *(found.field(name) for name in sorted(found.names))]))
        schema = GraphSchema({**schema.nodes, label: kind}, schema.relationships)
    lengths = {label: int(data[label].x.shape[1]) for label in MEDIA_LABELS.values()}
    return schema.with_dimensions({label: length for label, length in lengths.items() if length})


def _read_nodes(store: GraphStore, label: str, data: HeteroData, vectors: VectorLookup | None = None) -> pl.DataFrame:
    """Fills `data[label]`; returns `id` -> `index`."""
    is_media = label in MEDIA_LABELS.values()
    found = _looked_up(store, label, vectors) if is_media and vectors is not None else None
    columns = ["embedding", *_ORIGIN.get(label, ())] if is_media else []
    batches = list(store.read_nodes(label, columns)) if found is None else []
    ids, sources = pl.Series("id", [], dtype=pl.String), None
    if found is not None:
        ids, sources = found.nodes["id"], found.nodes.get_column("source", default=None)
    elif batches:
        ids = pl.Series("id", pa.chunked_array([batch["id"] for batch in batches]), dtype=pl.String)
        if "source" in columns:
            sources = pl.Series("source", pa.chunked_array([batch["source"] for batch in batches]), dtype=pl.String)
    order = ids.arg_sort()
    ids = ids.gather(order)
    data[label].ids = ids.to_list()
    data[label].num_nodes = len(ids)
    if sources is not None:
        _mark(data[label], sources.gather(order))
    if is_media:
        if found is not None:
            x, mask = found.vectors[order.to_numpy()], np.ones(len(order), dtype=bool)
        else:
            position = np.empty(len(order), dtype=np.int64)
            position[order.to_numpy()] = np.arange(len(order))
            x, mask = _features(label, [batch["embedding"] for batch in batches], position)
        data[label].x, data[label].mask = torch.from_numpy(x), torch.from_numpy(mask)
    return pl.DataFrame({"id": ids, "index": pl.int_range(len(ids), eager=True, dtype=pl.Int64)})


class _Found(NamedTuple):
    """Nodes of a label, and their vectors from elsewhere."""

    nodes: pl.DataFrame
    vectors: np.ndarray


def _looked_up(store: GraphStore, label: str, vectors: VectorLookup) -> _Found | None:
    """Nodes and vectors of a label whose nodes share one encoder and are all at hand."""
    batches = list(store.read_nodes(label, ["encoder", *_ORIGIN.get(label, ())]))
    nodes = pl.concat([pl.DataFrame(batch) for batch in batches]) if batches else None
    encoders = nodes["encoder"].unique().to_list() if nodes is not None else []
    if nodes is None or len(encoders) != 1 or encoders[0] is None:
        return None
    found = vectors(label, encoders[0], nodes["id"].to_list())
    return None if found is None else _Found(nodes, found)


def _mark(part: BaseStorage, sources: pl.Series) -> None:
    """Say which rows a language model wrote, where it wrote any: a graph without keeps the hash it always had."""
    generated = (sources == GENERATED).fill_null(False)
    if generated.any():
        part.generated = torch.from_numpy(generated.to_numpy())


def _features(label: str, vectors: Sequence[pa.Array], position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors as read, and where each row goes -> `x [n, dim]` and `mask [n]`."""
    chunks = [v.cast(pa.list_(pa.float32())) for v in vectors]
    lengths = [chunk.value_lengths().fill_null(0).to_numpy(zero_copy_only=False) for chunk in chunks]
    found = np.unique(np.concatenate(lengths)) if lengths else np.zeros(0, dtype=np.int64)
    sizes = [int(n) for n in found if n > 0]
    if len(sizes) > 1:
        shown = " and ".join(map(str, sizes[:2]))
        raise StoreError(f"{label} nodes have vectors of lengths {shown}; build them again with one encoder")
    x = np.zeros((len(position), sizes[0] if sizes else 0), dtype=np.float32)
    mask = np.zeros(len(position), dtype=bool)
    start = 0
    for chunk, length in zip(chunks, lengths, strict=True):
        rows = position[start : start + len(chunk)][length > 0]
        if len(rows):
            x[rows] = chunk.flatten().to_numpy(zero_copy_only=False).reshape(len(rows), -1)
            mask[rows] = True
        start += len(chunk)
    return x, mask


def _add_interactions(store: GraphStore, indices: dict[str, pl.DataFrame], data: HeteroData) -> None:
    columns = ("weight", "timestamp", "split")
    frame = _read_edges(store, INTERACTED, columns, indices)
    known = pl.col("split").is_in(["train", *HELD_OUT, SEEN]).fill_null(False)
    if odd := frame.filter(~known)["split"].head(1).to_list():
        raise StoreError(f"INTERACTED rows have split {odd[0]!r}; it must be train, valid or test: build again")
    liked = (pl.col("weight").fill_null(1.0) > 0) & (pl.col("split") != SEEN)
    refused, frame = frame.filter(~liked), frame.filter(liked)
    train = frame.filter(split="train")
    edges = data[INTERACTED]
    edges.edge_index = _edge_index(train)
    edges.weight = _tensor(train["weight"].fill_null(1.0), np.float32)
    edges.timestamp = _tensor(train["timestamp"].fill_null(0), np.int64)
    for split in HELD_OUT:
        pairs = frame.filter(split=split)
        edges[f"{split}_label_index"] = _edge_index(pairs)
        edges[f"{split}_label_weight"] = _tensor(pairs["weight"].fill_null(1.0), np.float32)
        edges[f"{split}_label_timestamp"] = _tensor(pairs["timestamp"].fill_null(0), np.int64)
    edges.not_liked_label_index = _edge_index(refused)


def _add_relations(
    store: GraphStore, indices: dict[str, pl.DataFrame], data: HeteroData, advance: Callable[[], None]
) -> None:
    frames = {}
    for edge in _RELATED:
        columns = ("relation", ORIGIN) if edge.source == "Item" else ("relation",)
        frames[edge] = _read_edges(store, edge, columns, indices, sort=("relation",))
        advance()
    names = sorted({name for frame in frames.values() for name in frame["relation"].unique().to_list()})
    data.relations = names
    codes = pl.DataFrame({"relation": names, "code": range(len(names))}, {"relation": pl.String, "code": pl.Int64})
    for edge, frame in frames.items():
        data[edge].edge_index = _edge_index(frame)
        coded = frame.join(codes, on="relation", how="left", maintain_order="left")
        data[edge].relation = _tensor(coded["code"], np.int64)
        if ORIGIN in coded.columns:
            _mark(data[edge], coded[ORIGIN])


def _read_edges(
    store: GraphStore,
    edge: EdgeType,
    columns: Sequence[str],
    indices: dict[str, pl.DataFrame],
    sort: Sequence[str] = (),
) -> pl.DataFrame:
    """`source` and `target` as indices and the columns, sorted."""
    properties = GraphSchema().relationships[edge].properties
    ends = [("source", pa.string()), ("target", pa.string())]
    schema = pa.schema([*ends, *(properties.field(c) for c in columns)])
    table = pa.Table.from_batches(_cast(store.read_relationships(edge, columns), schema), schema)
    frame = pl.DataFrame(pl.from_arrow(table))
    for end, label in (("source", edge.source), ("target", edge.target)):
        index = indices[label].rename({"id": end})
        frame = frame.join(index, on=end, how="left").drop(end).rename({"index": end})
        if frame[end].null_count():
            raise StoreError(f"{store.address}: {edge.relation} changed while it was read; read it again")
    return frame.sort("source", "target", *sort)


def _cast(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        yield batch.select(schema.names).cast(schema)


def _shared_attributes(store: GraphStore, index: pl.DataFrame) -> dict[str, torch.Tensor]:
    found = {}
    for column in store.attributes("Item"):
        if column.type not in (pa.string(), pa.bool_()):
            continue
        batches = [batch.select(["id", column.name]) for batch in store.read_nodes("Item", [column.name])]
        table = pl.DataFrame(pl.from_arrow(pa.Table.from_batches(batches))).rename({column.name: "value"})
        values = index.join(table, on="id", how="left", maintain_order="left").sort("index")["value"].cast(pl.String)
        held = len(values) - values.null_count()
        if 0 < values.drop_nulls().n_unique() <= held * _SHARED:
            codes = values.rank("dense").cast(pl.Int64) - 1
            found[column.name] = _tensor(codes.fill_null(-1), np.int64)
    return found


def _edge_index(frame: pl.DataFrame) -> torch.Tensor:
    return torch.from_numpy(np.stack([frame[end].to_numpy() for end in ("source", "target")]).astype(np.int64))


def _tensor(column: pl.Series, dtype: type[np.generic]) -> torch.Tensor:
    return torch.from_numpy(column.to_numpy().astype(dtype))
