"""Vectors as Arrow tables, as several sinks take them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from gnn.bundle.vectors import ModelVectors


def user_table(vectors: ModelVectors) -> pa.Table:
    """`user_id, vector` (fixed-size list of float32)."""
    return pa.table({"user_id": _texts(vectors.user_ids), "vector": _lists(vectors.users)})


def item_table(vectors: ModelVectors) -> pa.Table:
    """`item_id, title, vector`; no titles, no such column."""
    titles = {} if vectors.titles is None else {"title": _texts(vectors.titles)}
    return pa.table({"item_id": _texts(vectors.item_ids), **titles, "vector": _lists(vectors.items)})


def _texts(values: Sequence[str | None]) -> pa.Array:
    return pa.array(list(values), pa.string())


def _lists(matrix: Float[np.ndarray, "rows dim"]) -> pa.FixedSizeListArray:
    flat = np.ascontiguousarray(matrix, dtype=np.float32).ravel()
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), matrix.shape[1])
