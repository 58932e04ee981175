"""What a trained model is, whatever trained it: a function from a block of users to scores over all items.

Three kinds cover every model of this room, so the bundle and the batch job know nothing of training.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnn.scorers.popular import popularity, without_history

_CACHED = 1 << 16
"""Scores looked at together: 256 KiB of float32."""

Normalisation = bool | Literal["rank"]
"""How the rows of a sum's parts are made comparable: by their deviation (True), by ranks, or not at all (False)."""


@runtime_checkable
class Scorer(Protocol):
    """Scores a block of users against the whole catalogue."""

    @property
    def kind(self) -> str:
        """Which of the three it is: `dot`, `item_item` or `sum`."""

    @property
    def num_users(self) -> int:
        """Users it can score."""

    @property
    def num_items(self) -> int:
        """Items of the catalogue."""

    def scores(self, users: Int[Tensor, "block"]) -> Float[Tensor, "block items"]:
        """Higher is better; comparable within a user only. The tensor is the caller's own, to be written to."""


@dataclass(frozen=True)
class UserTerms:
    """What user vectors are summed from, where they are linear in the history: scores are explained by it.

    `user = scale * (own + sum over the history h of (d_user d_h)^-exponent * messages[h]
    + gate[user, c] / d_user * channels[c][h])`, d the lengths of histories; `own` is what is left.
    """

    messages: Float[Tensor, "items dim"]
    """What an item of the history sends over INTERACTED."""
    channels: Mapping[str, Float[Tensor, "items dim"]] = field(default_factory=dict)
    """Modality -> what an item of the history sends by what its media resemble."""
    gates: Float[Tensor, "users channels"] | None = None
    """How much each channel counts for each user; None without channels."""
    scale: Float[Tensor, "users"] | None = None
    """1 / length of the vector where vectors are of unit length; None = 1."""
    exponent: float = 0.5
    """0 sums the messages as they are."""


@dataclass(frozen=True)
class DotScorer:
    """Inner products of user and item vectors: what any vector index can serve."""

    user_vectors: Float[Tensor, "users dim"]
    item_vectors: Float[Tensor, "items dim"]
    kind: str = "dot"
    terms: UserTerms | None = field(default=None, repr=False, compare=False)
    """For explanations only; scores never need it."""

    @property
    def num_users(self) -> int:
        """Rows of `user_vectors`."""
        return len(self.user_vectors)

    @property
    def num_items(self) -> int:
        """Rows of `item_vectors`."""
        return len(self.item_vectors)

    def scores(self, users: Int[Tensor, "block"]) -> Float[Tensor, "block items"]:
        """`user_vectors[users] @ item_vectors.T`."""
        return self.user_vectors[users] @ self.item_vectors.T


@dataclass(frozen=True)
class ItemItemScorer:
    """Weights between items applied to each user's history, as EASE, item-kNN and the graph filter do.

    A user without a history gets what is popular in the histories of all.
    """

    history: sp.csr_matrix
    """Users x items, float32: what each user's score is summed over."""
    weights: Float[Tensor, "items items"] | sp.csr_matrix
    """Dense, or sparse above the size where dense no longer fits."""
    kind: str = "item_item"

    @property
    def num_users(self) -> int:
        """Rows of `history`."""
        return int(self.history.shape[0])

    @property
    def num_items(self) -> int:
        """Columns of `history`."""
        return int(self.history.shape[1])

    def scores(self, users: Int[Tensor, "block"]) -> Float[Tensor, "block items"]:
        """`history[users] @ weights`; `popularity` where the history is empty."""
        rows = self.history[users.numpy()]
        weights = self.weights.numpy() if isinstance(self.weights, Tensor) else self.weights
        product = rows @ weights
        dense = product.toarray() if sp.issparse(product) else np.asarray(product)
        scores = torch.from_numpy(np.ascontiguousarray(dense, dtype=np.float32))
        unknown = without_history(rows)
        if unknown.any():
            scores[unknown] = self.popularity
        return scores

    @cached_property
    def popularity(self) -> Float[Tensor, "items"]:
        """Each item's users, as a share of the most popular one's."""
        return popularity(self.history)


@dataclass(frozen=True)
class SumScorer:
    """A weighted sum of scorers."""

    parts: Sequence[Scorer]
    weights: Sequence[float]
    normalise: Normalisation = True
    """Divide each part's row by its standard deviation over all items first, so that weights compare; `rank` takes
    each item's place instead, from 1 (best) down to 0."""
    kind: str = "sum"

    @property
    def num_users(self) -> int:
        """Users of every part."""
        return self.parts[0].num_users

    @property
    def num_items(self) -> int:
        """Items of every part."""
        return self.parts[0].num_items

    def scores(self, users: Int[Tensor, "block"]) -> Float[Tensor, "block items"]:
        """`sum(weight * part.scores(users))`."""
        kept = [(part, weight) for part, weight in zip(self.parts, self.weights, strict=True) if weight]
        return self._sum(((part.scores(users), weight) for part, weight in kept), len(users))

    def combined(self, scores: Sequence[Float[Tensor, "block items"]]) -> Float[Tensor, "block items"]:
        """The same from the scores of each part."""
        return self._sum(zip(scores, self.weights, strict=True), len(scores[0]))

    def _sum(self, scores: Iterable[tuple[Tensor, float]], users: int) -> Float[Tensor, "block items"]:
        total = torch.zeros(users, self.num_items)
        for own, weight in scores:
            if not weight:
                continue
            if self.normalise is True:  # scaled as it is added: one pass over the scores
                total.addcdiv_(own.float(), deviations(own)[:, None], value=weight)
            else:
                total += weight * normalised(own, self.normalise)
        return total


def normalised(scores: Float[Tensor, "block items"], how: Normalisation) -> Float[Tensor, "block items"]:
    """Rows that can be weighed against those of another scorer; of equal scores the lower item index ranks first."""
    if how == "rank":
        order = scores.argsort(dim=1, descending=True, stable=True)
        places = torch.linspace(1, 0, scores.shape[1]).expand_as(scores)
        return torch.empty_like(scores).scatter_(1, order, places)
    return scores / deviations(scores)[:, None] if how else scores


def deviations(scores: Float[Tensor, "block items"]) -> Float[Tensor, "block"]:
    """Standard deviation of each row, at least 1e-12: something to divide by in a catalogue of one item, too.

    By two passes over a few rows that stay in cache; `torch.std` takes fourteen times as long.
    """
    means, items = scores.float().mean(dim=1, keepdim=True), scores.shape[1]
    rows = max(1, _CACHED // max(items, 1))
    norms = torch.cat(
        [
            torch.linalg.vector_norm(scores[start : start + rows] - means[start : start + rows], dim=1)
            for start in range(0, len(scores), rows)
        ]
        or [means[:, 0]]
    )
    return (norms / max(items - 1, 1) ** 0.5).clamp_min(1e-12)
