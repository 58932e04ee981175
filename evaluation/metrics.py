"""Ranking metrics at K, one value for each user: ids in, numbers out.

Definitions follow Järvelin and Kekäläinen (2002) for NDCG and Manning, Raghavan and Schütze (2008, chapter 8)
for the others. Relevance is binary.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from evaluation.errors import EvaluationError

_CELLS = 2_000_000
"""Cells of the ranking handled at once: about 100 MB of intermediate arrays, however many users there are."""


def user_metrics(
    ranked: Int[np.ndarray, "users depth"],
    positives: sp.csr_matrix,
    ks: Sequence[int],
    first_rank: Int[np.ndarray, "users"] | None = None,
) -> dict[str, Float[np.ndarray, "evaluated"]]:
    """Measure every user who has at least one positive; the others do not count and are left out.

    Args:
        ranked: item indices, best first, without repeats in a row; -1 pads rows with fewer candidates.
        positives: users x items, binary: what was held out.
        ks: cut-offs, each at most `depth`.
        first_rank: 1-based rank of each user's first positive in the full ranking (0 = never ranked), for an
            exact `mrr`; without it `mrr` counts only positives within `depth`.

    Returns:
        `recall@K precision@K f1@K ndcg@K map@K hit@K` for each K, and `mrr`; float64 in [0, 1], one entry for
        each of `evaluated_users(positives)`, in that order. Recall divides by all positives, precision by K,
        NDCG by the ideal DCG over min(K, positives) with a log2 discount, MAP by min(K, positives).

    Raises:
        EvaluationError: shapes that disagree, a K out of range, an unknown or repeated item.
    """
    ranked = np.asarray(ranked)
    positives = _canonical(positives)
    _check(ranked, positives, ks, first_rank)
    rows = evaluated_users(positives)
    counts = np.diff(positives.indptr)[rows].astype(np.int64)
    parts = []
    for chunk in chunks(len(rows), ranked.shape[1]):
        hits = hit_matrix(ranked[rows[chunk]], positives[rows[chunk]])
        parts.append(_measure(hits, counts[chunk], ks))
    values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if first_rank is not None:
        values["mrr"] = _reciprocal(np.asarray(first_rank)[rows])
    return values


def evaluated_users(positives: sp.csr_matrix) -> Int[np.ndarray, "evaluated"]:
    """Row indices of the users with at least one positive, ascending: whom `user_metrics` measures."""
    return np.flatnonzero(np.diff(_canonical(positives).indptr))


def hit_matrix(ranked: Int[np.ndarray, "users depth"], positives: sp.csr_matrix) -> Bool[np.ndarray, "users depth"]:
    """Which places of the ranking hold a positive of that row's user.

    Raises `EvaluationError` where a row ranks the same item twice, since it would count twice.
    """
    users, items = positives.shape
    offsets = np.arange(users, dtype=np.int64) * items
    truth = np.repeat(offsets, np.diff(positives.indptr)) + positives.indices
    keys = np.where(ranked < 0, -1, offsets[:, None] + ranked)
    ordered = np.sort(keys, axis=1)
    repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if repeated.any():
        key = int(ordered[:, 1:][repeated][0])
        raise EvaluationError(f"item {key % items} is ranked twice for a user; rank each item once")
    place = np.minimum(np.searchsorted(truth, keys), max(len(truth) - 1, 0))
    return truth[place] == keys if len(truth) else np.zeros(ranked.shape, dtype=bool)


def chunks(rows: int, depth: int) -> Iterator[slice]:
    """Slices of rows that bound the memory of what is done with them; at least one, though it be empty."""
    step = max(_CELLS // max(depth, 1), 1)
    for start in range(0, max(rows, 1), step):
        yield slice(start, min(start + step, rows))


def _measure(
    hits: Bool[np.ndarray, "users depth"], counts: Int[np.ndarray, "users"], ks: Sequence[int]
) -> dict[str, Float[np.ndarray, "users"]]:
    depth = hits.shape[1]
    places = np.arange(1, depth + 1)
    discount = 1.0 / np.log2(places + 1.0)
    found = np.cumsum(hits, axis=1)
    gain = np.cumsum(hits * discount, axis=1)
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    precision_sum = np.cumsum(hits * (found / places), axis=1)
    values: dict[str, Float[np.ndarray, users]] = {}
    for k in ks:
        hit, best = found[:, k - 1], np.minimum(counts, k)
        values[f"recall@{k}"] = hit / counts
        values[f"precision@{k}"] = hit / k
        # The harmonic mean of hit / counts and hit / k, without its 0 / 0.
        values[f"f1@{k}"] = 2.0 * hit / (counts + k)
        values[f"ndcg@{k}"] = gain[:, k - 1] / ideal[best]
        values[f"map@{k}"] = precision_sum[:, k - 1] / best
        values[f"hit@{k}"] = (hit > 0).astype(np.float64)
    values["mrr"] = _reciprocal(np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0))
    return values


def _reciprocal(rank: Int[np.ndarray, "users"]) -> Float[np.ndarray, "users"]:
    return np.where(rank > 0, 1.0 / np.maximum(rank, 1), 0.0)


def _canonical(positives: sp.csr_matrix) -> sp.csr_matrix:
    matrix = sp.csr_matrix(positives)
    if not matrix.has_canonical_format or not matrix.data.all():
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    return matrix


def _check(
    ranked: Int[np.ndarray, "users depth"],
    positives: sp.csr_matrix,
    ks: Sequence[int],
    first_rank: Int[np.ndarray, "users"] | None,
) -> None:
    if ranked.ndim != 2 or ranked.dtype.kind not in "iu":
        raise EvaluationError(f"ranked is {ranked.dtype} {ranked.shape}; pass integers (users, depth)")
    users, items = positives.shape
    if len(ranked) != users:
        raise EvaluationError(f"ranked has {len(ranked)} rows but positives {users}; use the same users")
    if not ks or min(ks) < 1 or max(ks) > ranked.shape[1]:
        raise EvaluationError(f"k = {list(ks)} does not lie in 1..{ranked.shape[1]}; rank deeper or lower k")
    if ranked.size and ranked.max() >= items:
        raise EvaluationError(f"ranked holds item {ranked.max()} of {items} items; index both alike")
    if first_rank is not None and len(first_rank) != users:
        raise EvaluationError(f"first_rank has {len(first_rank)} entries for {users} users; pass one each")
