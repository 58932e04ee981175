"""Media like a given piece or a given vector: the vector index on Neo4j, faiss (exact) on the embedded store."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.vectors import unit_rows
from graph.errors import GraphError, SchemaError
from graph.schema import MEDIA_LABELS
from graph.store import GraphStore

_VECTOR = "MATCH (m:{label}) WHERE m.id = $id RETURN m.embedding AS vector"
_VECTOR_OF = {label: _VECTOR.format(label=label) for label in MEDIA_LABELS.values()}

_SPARE = 8
"""Candidates beyond k, so that equal scores at the border are ordered by id and not by faiss."""
_DIGITS = 6
"""Scores are rounded: the stores' float32 sums differ in the last digits."""

Vector = Sequence[float] | npt.NDArray[np.float32]


def similar(store: GraphStore, label: str, node_id: str, k: int = 10) -> pa.Table:
    """The `k` media nodes nearest to a media node, itself left out: `id`, `score` (cosine), best first.

    Raises `SchemaError` for a label without vectors, `GraphError` for a node that is missing or has none.
    """
    _check_label(label)
    found = store.query(_VECTOR_OF[label], {"id": node_id})
    if not found.num_rows:
        raise GraphError(f"{label} {node_id!r} does not exist in {store.address}; give the id of a media node")
    vector = found["vector"][0].as_py()
    if vector is None:
        raise GraphError(f"{label} {node_id!r} has no embedding; build the graph with an encoder")
    near = similar_to_vector(store, label, vector, k + 1)
    keep = [i for i, other in enumerate(near["id"].to_pylist()) if other != node_id]
    return near.take(keep[:k])


def similar_to_vector(store: GraphStore, label: str, vector: Vector, k: int = 10) -> pa.Table:
    """The `k` media nodes of a label nearest to a vector: `id`, `score` (cosine), best first, ties by id.

    A store's index answers where it has one for vectors of this length, and may miss a neighbour; else every vector
    is compared.
    """
    _check_label(label)
    query = np.asarray(vector, dtype=np.float32)
    if query.ndim != 1 or not np.isfinite(query).all() or not query.any():
        raise GraphError(f"a query vector of shape {query.shape} is no direction; give finite numbers, not all 0")
    indexed = store.nearest(label, query.tolist(), k)
    if indexed is not None:
        return _best(indexed["id"].to_pylist(), indexed["score"].to_numpy(), k)
    import faiss

    metric = faiss.METRIC_INNER_PRODUCT
    ids: list[str] = []
    scores: list[npt.NDArray[np.float64]] = [np.empty(0)]
    for names, block in _vectors(store, label, len(query)):
        near, found = faiss.knn(unit_rows(query[None]), unit_rows(block), min(k + _SPARE, len(block)), metric)
        ids += [names[row] for row in found[0]]
        scores.append(near[0].astype(np.float64))
    return _best(ids, np.concatenate(scores), k)


def _check_label(label: str) -> None:
    if label not in MEDIA_LABELS.values():
        raise SchemaError(f"{label!r} nodes have no vectors; use one of {', '.join(MEDIA_LABELS.values())}")


def _vectors(store: GraphStore, label: str, dim: int) -> Iterator[tuple[list[str], npt.NDArray[np.float32]]]:
    """Ids and vectors of the nodes that have one of the query's length."""
    for batch in store.read_nodes(label, ["embedding"]):
        column = batch["embedding"]
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        kept = batch.filter(pc.equal(lengths, dim))
        if kept.num_rows:
            values = kept["embedding"].flatten().to_numpy(zero_copy_only=False)
            yield kept["id"].to_pylist(), values.astype(np.float32, copy=False).reshape(-1, dim)


def _best(ids: Sequence[str], scores: npt.NDArray[np.float64], k: int) -> pa.Table:
    scores = scores.round(_DIGITS)
    order = np.lexsort((np.asarray(ids, dtype=object).astype(str), -scores))[:k]
    return pa.table({"id": pa.array([ids[i] for i in order], pa.string()), "score": scores[order]})
