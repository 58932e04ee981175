"""A weighted sum of recommenders, each user's scores put on one scale, with weights chosen on validation."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gnn.scorers.base import Normalisation, Scorer, SumScorer, normalised
from gnn.scorers.ranking import row_pairs
from gnn.validation import Validation

GRID = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4)
"""Weights tried for each part, relative to the best one's 1."""

_CACHE_CELLS = 50_000_000
"""Scores of each part held for the search (200 MB); more users than fit are sampled."""


def fit_weights(
    scorers: Sequence[Scorer], validation: Validation, normalise: Normalisation = True
) -> tuple[list[float], float]:
    """Weights of the scorers' normalised sum with the best validation quality, and that quality.

    The best scorer alone is weighted 1; the others are then searched in turn, best first, over `GRID`, twice. A
    part that does not help stays at 0. Without validation pairs all weigh the same.
    """
    if not validation.num_pairs:
        return [1.0 / len(scorers)] * len(scorers), 0.0
    users = _affordable(validation.users, scorers[0].num_items)
    blocks = [normalised(scorer.scores(users), normalise) for scorer in scorers]
    seen = row_pairs(validation.seen, users)

    def quality(weights: Sequence[float]) -> float:
        total = torch.zeros_like(blocks[0])
        for block, weight in zip(blocks, weights, strict=True):
            if weight:
                total.add_(block, alpha=weight)
        total[seen] = -torch.inf
        return float(validation.block_quality(total, users).mean())

    alone = [quality([float(n == m) for n in range(len(scorers))]) for m in range(len(scorers))]
    order = list(np.argsort(alone)[::-1])
    weights = [float(n == order[0]) for n in range(len(scorers))]
    best = alone[order[0]]
    for _ in range(2 if len(scorers) > 2 else 1):
        for part in order[1:]:
            for value in GRID:
                candidate = [*weights[:part], value, *weights[part + 1 :]]
                reached = quality(candidate) if candidate != weights else best
                if reached > best:
                    best, weights = reached, candidate
    total = sum(weights)
    return [weight / total for weight in weights], best


def weighted_sum(scorers: Sequence[Scorer], weights: Sequence[float], normalise: Normalisation = True) -> Scorer:
    """The normalised sum without the parts that weigh 0; a single part is handed on as it is."""
    kept = [(scorer, weight) for scorer, weight in zip(scorers, weights, strict=True) if weight]
    if len(kept) == 1:
        return kept[0][0]
    return SumScorer([scorer for scorer, _ in kept], [weight for _, weight in kept], normalise)


def _affordable(users: Tensor, num_items: int) -> Tensor:
    """Evenly spread users, as many as the cache holds."""
    most = max(1, _CACHE_CELLS // max(num_items, 1))
    if len(users) <= most:
        return users
    return users[torch.linspace(0, len(users) - 1, most).long()]
