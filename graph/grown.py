"""A graph in memory with items that came after it was read."""

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
import polars as pl
import pyarrow as pa
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graph.schema import HAS, MEDIA_LABELS


def with_items(
    data: HeteroData, items: Sequence[str], has: Mapping[str, pa.Table], similar: Mapping[str, pa.Table]
) -> HeteroData:
    """The graph of `read_hetero` with these items after its own, and their media after its own; it is not changed.

    `has` is modality -> `source` (item), `target` (media node), `similar` modality -> `source`, `target`, `score`
    between media. Media are there by their links alone: no label of theirs has vectors any more.
    """
    grown = copy(data)
    grown["Item"].ids = [*data["Item"].ids, *items]
    grown["Item"].num_nodes = len(grown["Item"].ids)
    for modality, owned in has.items():
        label, media = MEDIA_LABELS[modality], owned["target"].unique().to_pylist()
        there = set(data[label].ids)
        grown[label].ids = [*data[label].ids, *(name for name in media if name not in there)]
        grown[label].num_nodes = len(grown[label].ids)
        for vectors in ("x", "mask"):
            grown[label].pop(vectors, None)
        added = _edges(owned, grown["Item"].ids, grown[label].ids)
        edges = grown["Item", HAS[modality], label]
        edges.edge_index = torch.cat([edges.edge_index, added], dim=1)
        if modality in similar:
            links = grown[label, "SIMILAR", label]
            added = _edges(similar[modality], grown[label].ids, grown[label].ids)
            links.edge_index = torch.cat([links.edge_index, added], dim=1)
            scores = torch.from_numpy(similar[modality]["score"].to_numpy().astype(np.float32))
            links.score = torch.cat([links.score, scores])
    return grown


def _edges(table: pa.Table, sources: Sequence[str], targets: Sequence[str]) -> Tensor:
    ends = [_places(table["source"], sources), _places(table["target"], targets)]
    return torch.from_numpy(np.stack(ends))


def _places(names: pa.ChunkedArray, ids: Sequence[str]) -> np.ndarray:
    """int64 index of each name."""
    order = pl.DataFrame({"id": ids}, schema={"id": pl.String}).with_row_index("place")
    found = pl.DataFrame({"id": pl.Series(names)}).join(order, on="id", how="left", maintain_order="left")
    return found["place"].cast(pl.Int64).to_numpy()
