"""A bundle as vectors of users and items whose inner products rank as it does: what a vector store serves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from common.progress import Progress
from gnn.bundle.agreement import agreement
from gnn.bundle.bundle import Bundle
from gnn.ranker.scorer import retrieval_of
from gnn.scorers.base import DotScorer
from gnn.scorers.one_dot import one_dot
from gnn.scorers.popular import popular_vector, without_history


@dataclass(frozen=True)
class ModelVectors:
    """Users and items in one space; higher inner products are better."""

    model: str
    """Hash of the bundle."""
    user_ids: Sequence[str]
    users: Float[np.ndarray, "users dim"]
    item_ids: Sequence[str]
    items: Float[np.ndarray, "items dim"]
    titles: Sequence[str | None] | None
    agreement: Mapping[str, float]
    """With the lists that the bundle serves, as an export tells it."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self.items.shape[1])


def model_vectors(
    bundle: Bundle, *, max_dimensions: int, seed: int = 0, progress: Progress | None = None
) -> ModelVectors:
    """The vectors of a model: its own where it is one dot product of at most so many dimensions, else nearly its.

    Users without a history have the vector whose inner products come nearest to what is popular. A model with a second
    stage has the vectors of its first, which finds the candidates.
    """
    dot = one_dot(retrieval_of(bundle.scorer), max_dimensions=max_dimensions, seed=seed, progress=progress)
    users, strangers = dot.user_vectors.float().clone(), without_history(bundle.history)
    if strangers.any():
        users[strangers] = popular_vector(dot.item_vectors.float(), bundle.history)
    found = DotScorer(users, dot.item_vectors.float())
    return ModelVectors(
        model=bundle.hash,
        user_ids=bundle.user_ids,
        users=found.user_vectors.numpy(),
        item_ids=bundle.item_ids,
        items=found.item_vectors.numpy(),
        titles=bundle.titles,
        agreement=agreement(bundle, bundle.served, found),
    )
