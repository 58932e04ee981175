"""Vectors on the User and Item nodes of a graph in Neo4j, with vector indexes for Cypher."""

import numpy as np

from common.progress import Progress
from gnn.bundle.vectors import ModelVectors
from graph.neo4j.model_vectors import NodeVectors, write_model_vectors
from scoring.sinks import Access

VECTOR, TARGET = "model_vector", "model_target"
"""The model's own vector of a node; an item's as the target of a user's."""


def write(vectors: ModelVectors, target: str, access: Access, progress: Progress | None) -> int:
    """Write the vectors at a Bolt address; users and items that the graph lacks are left out.

    A vector index knows cosine, a model inner products. `model_target` is an item's vector with one more number that
    makes all equally long, so that the cosine with a user's vector and a 0 ranks as the inner product does (Bachrach
    et al., "Speeding up the Xbox recommender system using a Euclidean transformation for inner-product spaces", 2014).
    """
    sets = [
        NodeVectors("User", vectors.user_ids, {VECTOR: vectors.users}),
        NodeVectors("Item", vectors.item_ids, {VECTOR: vectors.items, TARGET: targets(vectors.items)}),
    ]
    return write_model_vectors(target, sets, vectors.model, credentials=access.credentials, progress=progress)


def targets(items: np.ndarray) -> np.ndarray:
    """Vectors of one more dimension, all as long as the longest."""
    squares = (items.astype(np.float64) ** 2).sum(axis=1)
    rest = np.sqrt(np.maximum(squares.max(initial=0) - squares, 0))
    return np.concatenate([items, rest[:, None].astype(np.float32)], axis=1)
