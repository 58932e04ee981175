"""How alike two ranked lists of one user are."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from evaluation.errors import EvaluationError

_CELLS = 4_000_000
"""Pairs of places compared at once."""

Ranked = Int[np.ndarray, "users depth"]


def jaccard(left: Ranked, right: Ranked) -> Float[np.ndarray, "users"]:
    """Items in both lists over items in either (Jaccard 1901); 1 where both are empty. -1 pads short lists."""
    both = np.concatenate([matches.sum(axis=(1, 2)) for matches in _matches(left, right)])
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
    depth = left.shape[1]
    places = np.arange(1, depth + 1)
    # a pair of places is shared from the deeper of the two on
    from_depth = np.maximum(places[:, None], places[None, :])[:, :, None] <= places
    flat = from_depth.reshape(depth * depth, depth).astype(np.float64)
    shared = np.concatenate([matches.reshape(len(matches), -1) @ flat for matches in _matches(left, right)])
    agreement = shared / places
    return (1 - p) / p * (agreement * p**places).sum(axis=1) + agreement[:, -1] * p**depth


def _matches(left: Ranked, right: Ranked) -> Iterator[Bool[np.ndarray, "block depth depth"]]:
    """Which places of the two lists hold the same item, in blocks of users that bound the memory."""
    if left.shape != right.shape or left.ndim != 2 or not left.size:
        raise EvaluationError(f"lists of {left.shape} and {right.shape} cannot be held together; rank the same users")
    step = max(_CELLS // left.shape[1] ** 2, 1)
    for start in range(0, len(left), step):
        a, b = left[start : start + step, :, None], right[start : start + step, None, :]
        yield (a == b) & (a >= 0)
