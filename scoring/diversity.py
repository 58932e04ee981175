"""Lists of unlike items: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998)."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from gnn.errors import GnnError
from gnn.ranker.scorer import retrieval_of
from gnn.scorers.base import DotScorer, Scorer, SumScorer
from gnn.scorers.extended import ExtendedScorer

POOL = 5
"""Best items looked at for each place of a list."""

_BLOCK_ROWS = 256
"""Users at once: pool x pool likenesses of each."""


def diversified(
    items: Int[np.ndarray, "users pool"],
    scores: Float[np.ndarray, "users pool"],
    vectors: Float[Tensor, "items dim"],
    share: float,
    k: int,
) -> tuple[Int[np.ndarray, "users k"], Float[np.ndarray, "users k"]]:
    """`k` of each user's best items, chosen one after another: the next has the most
    `(1 - share) * relevance - share * likeness` to what it is most like among those chosen.

    Relevance is the score from 0 (last of the pool) to 1 (best), likeness the cosine of `vectors`, whose rows have
    length 1 or 0. An item of -1 is none, as in `top_items`.
    """
    chosen = np.full((len(items), k), -1, dtype=np.int64)
    values = np.full((len(items), k), -np.inf, dtype=np.float32)
    for start in range(0, len(items), _BLOCK_ROWS):
        own = slice(start, start + _BLOCK_ROWS)
        places = _places(items[own], scores[own], vectors, share, min(k, items.shape[1]))
        depth = places.shape[1]
        chosen[own, :depth] = np.take_along_axis(items[own], places, axis=1)
        values[own, :depth] = np.take_along_axis(scores[own], places, axis=1)
    return chosen, values


def item_vectors(scorer: Scorer) -> Float[Tensor, "items dim"]:
    """What the model has learned of each item, of length 1: the vectors of its first dot product that has more than
    one number an item. Raises `GnnError` where it has none."""
    for part in _parts(retrieval_of(scorer)):
        if isinstance(part, DotScorer) and part.item_vectors.shape[1] > 1:
            return functional.normalize(part.item_vectors.float(), dim=1)
    raise GnnError(f"a {scorer.kind!r} scorer has no item vectors; tell items apart by text, image or audio")


def _parts(scorer: Scorer) -> list[Scorer]:
    if isinstance(scorer, SumScorer):
        return [inner for part in scorer.parts for inner in _parts(part)]
    if isinstance(scorer, ExtendedScorer):
        return [scorer.as_dot(part) for part in _parts(scorer.scorer) if isinstance(part, DotScorer)]
    return [scorer]


def _places(
    items: Int[np.ndarray, "users pool"],
    scores: Float[np.ndarray, "users pool"],
    vectors: Float[Tensor, "items dim"],
    share: float,
    depth: int,
) -> Int[np.ndarray, "users depth"]:
    """Of each user the places in the pool, in the order chosen; what there is not comes last."""
    there = torch.from_numpy(items >= 0)
    value = torch.from_numpy(scores).masked_fill(~there, 0.0)
    best = value.masked_fill(~there, -torch.inf).amax(dim=1, keepdim=True)
    least = value.masked_fill(~there, torch.inf).amin(dim=1, keepdim=True)
    relevance = ((value - least) / (best - least).clamp_min(1e-12)).masked_fill(~there, -torch.inf)
    of_pool = vectors[torch.from_numpy(np.maximum(items, 0))]
    alike = of_pool @ of_pool.transpose(1, 2)
    rows, nearest = torch.arange(len(items)), torch.zeros_like(relevance)
    places = torch.empty(len(items), depth, dtype=torch.int64)
    for turn in range(depth):
        most, place = ((1 - share) * relevance - share * nearest).max(dim=1)
        place = torch.where(most == -torch.inf, items.shape[1] - 1, place)  # nothing is left: the last is none
        places[:, turn] = place
        relevance[rows, place] = -torch.inf
        mine = alike[rows, place]
        nearest = mine if turn == 0 else torch.maximum(nearest, mine)
    return places.numpy()
