"""Item features for items that lack a modality, made from their neighbours in the training graph."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch

from gnn.matrices import inverse_power
from gnn.network.config import ImputeConfig
from gnn.network.imputation import impute
from gnn.network.message_graph import Medium, MessageGraph
from gnn.network.operators import row_mean

_NEIGHBOURS = 50
_ROWS = 1024


def with_imputed(graph: MessageGraph, config: ImputeConfig) -> MessageGraph:
    """`graph` with each modality's features filled in where an item has none; `Medium.filled` says where.

    Neighbours are items that share training users, and items whose other media are alike. Held-out interactions are
    in neither, so nothing crosses the line between training and test.
    """
    if config.method == "none":
        return graph
    together = co_interacted(graph.history)
    return replace(graph, media={name: _filled(name, graph, together, config) for name in graph.media})


def co_interacted(history: sp.csr_matrix) -> sp.csr_matrix:
    """Items x items: users in common, each counted as 1 / the length of the user's history; the strongest 50 a row,
    rows that sum to 1."""
    weighted = (sp.diags(inverse_power(np.asarray(history.sum(axis=1)).ravel(), 1.0)) @ history).tocsr()
    by_item, items = history.T.tocsr(), history.shape[1]
    blocks = [_strongest(by_item[start : start + _ROWS] @ weighted, start) for start in range(0, items, _ROWS)]
    row, column, weight = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return row_mean(sp.csr_matrix((weight, (row, column)), shape=(items, items)))


def _strongest(shared: sp.csr_matrix, first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and weight of each row's strongest links to others, ties by column; row 0 is item `first`."""
    entries = shared.tocoo()
    row, column, weight = entries.row + first, entries.col, entries.data
    other = row != column
    row, column, weight = row[other], column[other], weight[other]
    order = np.lexsort((column, -weight, row))
    row, column, weight = row[order], column[order], weight[order]
    kept = np.arange(len(row)) - np.searchsorted(row, row) < _NEIGHBOURS
    return row[kept], column[kept], weight[kept]


def _filled(name: str, graph: MessageGraph, together: sp.csr_matrix, config: ImputeConfig) -> Medium:
    medium = graph.media[name]
    if medium.features is None:
        return medium
    links = [m.similar.forward for other, m in graph.media.items() if other != name and m.similar is not None]
    adjacency = sum(links, together)
    result = impute(medium.features.numpy(), medium.present.numpy(), adjacency, config)
    return replace(medium, features=torch.from_numpy(result.vectors), filled=torch.from_numpy(result.filled))
