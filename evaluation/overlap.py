"""How alike two ranked lists of one user are."""

import numpy as np
from jaxtyping import Bool, Float, Int

from evaluation.errors import EvaluationError

_CELLS = 4_000_000
"""Pairs of places compared at once."""

Ranked = Int[np.ndarray, "users depth"]


def jaccard(left: Ranked, right: Ranked) -> Float[np.ndarray, "users"]:
    """Items in both lists over items in either (Jaccard 1901); 1 where both are empty. -1 pads short lists."""
    both = _matches(left, right).sum(axis=(1, 2))
    either = (left >= 0).sum(axis=1) + (right >= 0).sum(axis=1) - both
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def rbo(left: Ranked, right: Ranked, *, p: float = 0.9) -> Float[np.ndarray, "users"]:
    """Rank-biased overlap, extrapolated (Webber, Moffat and Zobel 2010): 1 the same order, 0 nothing in common.

    The first places count most: at p = .9 the first ten hold 86 % of the weight.

    Args:
        left: item indices, best first, each once a row; -1 pads.
        right: the other lists of the same users, as deep.
        p: how far down a reader looks, in (0, 1).

    Raises:
        EvaluationError: lists of other users or depths, or p out of range.
    """
    if not 0 < p < 1:
        raise EvaluationError(f"p = {p} is not between 0 and 1; pass e.g. 0.9")
    matches = _matches(left, right)
    depth = left.shape[1]
    places = np.arange(1, depth + 1)
    # a pair of places is shared from the deeper of the two on
    deeper = np.maximum(places[:, None], places[None, :]) - 1
    shared = np.zeros(left.shape)
    for place in range(depth):
        shared[:, place] = matches[:, deeper == place].sum(axis=1)
    agreement = shared.cumsum(axis=1) / places
    return (1 - p) / p * (agreement * p**places).sum(axis=1) + agreement[:, -1] * p**depth


def _matches(left: Ranked, right: Ranked) -> Bool[np.ndarray, "users depth depth"]:
    if left.shape != right.shape or left.ndim != 2 or not left.size:
        raise EvaluationError(f"lists of {left.shape} and {right.shape} cannot be held together; rank the same users")
    step = max(_CELLS // left.shape[1] ** 2, 1)
    parts = []
    for start in range(0, len(left), step):
        a, b = left[start : start + step, :, None], right[start : start + step, None, :]
        parts.append((a == b) & (a >= 0))
    return np.concatenate(parts)
