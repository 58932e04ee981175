"""An ensemble as one dot product, so that any vector index can serve it."""

import numpy as np
import torch
from torch import Tensor

from gnn.linalg import orthonormal
from gnn.rank import user_blocks
from gnn.scorers import DotScorer, Progress, Scorer, SumScorer

_SAMPLE = 20_000
"""Users whose scores decide the item side; the others are projected on it."""

_ITERATIONS = 3


def one_dot(scorer: Scorer, *, max_dimensions: int, seed: int, progress: Progress | None = None) -> DotScorer:
    """User and item vectors of at most `max_dimensions` whose inner products rank as `scorer` does, nearly.

    Parts of a sum that are dot products already are kept exactly, each user's vector divided by the deviation of
    that user's scores; what is left (filters, EASE) is cut by a truncated SVD of its centred scores to the
    dimensions that remain. A dot product that is short enough is returned as it is.
    """
    if isinstance(scorer, DotScorer) and scorer.item_vectors.shape[1] <= max_dimensions:
        return scorer
    parts, weights = _flatten(scorer)
    exact = [(part, w) for part, w in zip(parts, weights, strict=True) if isinstance(part, DotScorer)]
    room = max_dimensions - sum(part.item_vectors.shape[1] for part, _ in exact)
    rest = [(part, w) for part, w in zip(parts, weights, strict=True) if not isinstance(part, DotScorer)]
    normalise = scorer.normalise if isinstance(scorer, SumScorer) else False
    if normalise == "rank":  # places are no dot products, whatever their parts are
        exact, rest, room = [], list(zip(parts, weights, strict=True)), max_dimensions
    if room < (1 if rest else 0):
        exact, rest, room = [], list(zip(parts, weights, strict=True)), max_dimensions
    users, items = [], []
    for part, weight in exact:
        scale = weight / _deviations(part)[:, None] if normalise else weight
        users.append(part.user_vectors * scale)
        items.append(part.item_vectors)
    if rest:
        remaining = SumScorer([part for part, _ in rest], [w for _, w in rest], normalise)
        left, right = _factors(remaining, room, seed, progress)
        users.append(left)
        items.append(right)
    return DotScorer(torch.cat(users, dim=1).contiguous(), torch.cat(items, dim=1).contiguous())


def _flatten(scorer: Scorer) -> tuple[list[Scorer], list[float]]:
    """The parts of a sum with a weight other than 0; anything else is a sum of one."""
    if not isinstance(scorer, SumScorer):
        return [scorer], [1.0]
    kept = [(part, float(w)) for part, w in zip(scorer.parts, scorer.weights, strict=True) if w]
    return [part for part, _ in kept], [w for _, w in kept]


def _deviations(part: DotScorer) -> Tensor:
    """Standard deviation of each user's scores over all items, without forming them."""
    centred = part.item_vectors - part.item_vectors.mean(dim=0)
    spread = centred.T @ centred / max(part.num_items - 1, 1)
    variance = ((part.user_vectors @ spread) * part.user_vectors).sum(dim=1)
    return variance.clamp_min(0).sqrt().clamp_min(1e-12)


def _factors(scorer: Scorer, rank: int, seed: int, progress: Progress | None) -> tuple[Tensor, Tensor]:
    """Truncated SVD of the row-centred score matrix by blocks of users (randomised subspace iteration)."""
    rank = min(rank, scorer.num_items)
    everyone = torch.arange(scorer.num_users)
    generator = np.random.default_rng(seed)
    sample = everyone
    if len(everyone) > _SAMPLE:
        sample = torch.from_numpy(np.sort(generator.choice(len(everyone), _SAMPLE, replace=False)))
    width = min(rank + 32, scorer.num_items)
    basis = orthonormal(generator.standard_normal((scorer.num_items, width)).astype(np.float32))
    for step in range(_ITERATIONS):
        product = np.zeros_like(basis)
        for _, block in user_blocks(sample, scorer.num_items):
            scores = _centred(scorer, block)
            product += scores.T @ (scores @ basis)
        if step == _ITERATIONS - 1:
            # product = (R^T R) basis: its own SVD puts the strongest directions first
            basis = np.linalg.svd(product, full_matrices=False)[0][:, :rank]
        else:
            basis = orthonormal(product)
        if progress:
            progress(step + 1, _ITERATIONS + 1)
    left = np.concatenate([_centred(scorer, block) @ basis for _, block in user_blocks(everyone, scorer.num_items)])
    if progress:
        progress(_ITERATIONS + 1, _ITERATIONS + 1)
    return torch.from_numpy(left), torch.from_numpy(np.ascontiguousarray(basis))


def _centred(scorer: Scorer, users: Tensor) -> np.ndarray:
    """Scores less each user's mean, which changes no ranking and costs a dimension otherwise."""
    scores = scorer.scores(users)
    return (scores - scores.mean(dim=1, keepdim=True)).numpy()
