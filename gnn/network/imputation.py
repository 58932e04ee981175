"""Vectors for what has none, from its neighbours in a graph; always with a mask that says which are real.

The caller gives the adjacency of one side of the train/test line only; nothing here looks further than it.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from gnn.errors import GnnError
from gnn.network.config import ImputeConfig


class Imputed(NamedTuple):
    """Filled-in vectors and what they are worth."""

    vectors: Float[np.ndarray, "nodes dim"]
    """Known rows as given; filled ones a weighted mean of known rows; the rest zero."""
    known: Bool[np.ndarray, "nodes"]
    """Rows that are real: the mask a model must see."""
    filled: Bool[np.ndarray, "nodes"]
    """Rows made up here. A node that no known one reaches is in neither mask."""


def impute(
    vectors: Float[np.ndarray, "nodes dim"],
    known: Bool[np.ndarray, "nodes"],
    adjacency: sp.csr_matrix,
    config: ImputeConfig,
) -> Imputed:
    """Fill rows that are not known from the graph `adjacency` [nodes, nodes]; weights are never negative.

    Personalised PageRank: Page et al. 1999; feature propagation: Rossi et al. 2022.
    """
    known = np.asarray(known, dtype=bool)
    graph = sp.csr_matrix(adjacency, dtype=np.float32)
    if graph.shape != (len(vectors), len(vectors)) or known.shape != (len(vectors),):
        raise GnnError(
            f"imputation: {len(vectors)} vectors, a mask of {known.shape} and a graph of {graph.shape} do not fit"
        )
    if graph.nnz and graph.data.min() < 0:
        raise GnnError(f"imputation: the graph has a negative weight ({graph.data.min():g}); use weights >= 0")
    start = np.where(known[:, None], np.asarray(vectors, dtype=np.float32), np.float32(0))
    if config.method == "none" or known.all() or not known.any():
        return Imputed(start, known, np.zeros_like(known))
    if config.method == "pagerank":
        result, reached = _pagerank(start, known, graph, config)
    else:
        result, reached = _spread(start, known, graph, 1 if config.method == "neighbours" else config.hops)
    filled = reached & ~known
    result = np.where(filled[:, None], result, start).astype(np.float32)
    return Imputed(result, known, filled)


def _spread(start: np.ndarray, known: np.ndarray, graph: sp.csr_matrix, hops: int) -> tuple[np.ndarray, np.ndarray]:
    """Hop by hop outwards; a node takes the mean of the nearest ring that has vectors."""
    result, reached = start.copy(), known.copy()
    for _ in range(hops):
        weight = graph @ reached.astype(np.float32)
        new = ~reached & (weight > 0)
        if not new.any():
            break
        rows = graph[new] @ np.where(reached[:, None], result, np.float32(0))
        result[new] = rows / weight[new, None]
        reached = reached | new
    return result, reached


def _pagerank(
    start: np.ndarray, known: np.ndarray, graph: sp.csr_matrix, config: ImputeConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Sum over k of damping^k P^k (vectors, mask): the known nodes that each restarting walk visits."""
    degree = np.asarray(graph.sum(axis=1)).ravel()
    inverse = np.divide(1, degree, out=np.zeros_like(degree), where=degree > 0)
    walk = sp.csr_matrix(sp.diags(inverse) @ graph)
    mass = known.astype(np.float32)[:, None]
    total, total_mass = start.copy(), mass.copy()
    step, step_mass = start, mass
    for _ in range(config.iterations):
        step, step_mass = config.damping * (walk @ step), config.damping * (walk @ step_mass)
        total, total_mass = total + step, total_mass + step_mass
    reached = total_mass[:, 0] > 1e-12
    return np.divide(total, total_mass, out=np.zeros_like(total), where=reached[:, None]), reached
