"""Ranking a scorer's catalogue for a block of users: one code for validation, evaluation and the batch job."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnn.scorers.base import DotScorer, Scorer
from gnn.scorers.served import ServedScorer
from gnn.scorers.stable import stable_top
from gnn.scorers.tiled import best_products, pays

_BLOCK_CELLS = 1 << 22
"""Scores held at once: 16 MiB of float32, reused; larger arrays are asked of the system page by page."""


@dataclass(frozen=True)
class Limits:
    """What a list may hold beside what the user has not seen."""

    left_out: Bool[np.ndarray, "items"] | None = None
    """Items that are in no list."""
    groups: Int[np.ndarray, "items"] | None = None
    """Of which kind each item is; -1 = of none, and as many as there are."""
    at_most: int = 1
    """Items of one kind in a list."""


def top_items(
    scorer: Scorer, users: Int[Tensor, "block"], seen: sp.csr_matrix, k: int, limits: Limits | None = None
) -> tuple[Int[np.ndarray, "block k"], Float[np.ndarray, "block k"]]:
    """The `k` best unseen items of each user, best first, equal scores by lower item index.

    Items in the user's row of `seen` (users x items) never appear; where fewer than `k` are left the rest is -1
    with score -inf. Items are int64, scores float32. Users are taken in blocks of at most 16 MiB of scores; the scores
    of a large catalogue's dot product are never all there (`gnn.scorers.tiled`).

    Under `limits` the list is exact, too: the best of what may be listed, an item whose kind has its number passed
    over for the next one.
    """
    limits = limits or Limits()
    items = np.full((len(users), k), -1, dtype=np.int64)
    values = np.full((len(users), k), -np.inf, dtype=np.float32)
    rest = _fill_products(scorer, users, seen, limits, items, values)
    left_out = None if limits.left_out is None else torch.from_numpy(limits.left_out)
    for start, block in user_blocks(users[rest], scorer.num_items):
        scores, shape = masked_scores(scorer, block, seen), (len(block), k)
        own_items, own_values = np.full(shape, -1, dtype=np.int64), np.full(shape, -np.inf, dtype=np.float32)
        if left_out is not None:
            scores[:, left_out] = -torch.inf
        if limits.groups is None:
            _fill_best(scores, own_items, own_values)
        else:
            _fill_best_by_kind(scores, limits.groups, limits.at_most, own_items, own_values)
        own = rest[start : start + len(block)]
        items[own], values[own] = own_items, own_values
    return items, values


def lists_and_ranks(
    scorer: Scorer, users: Int[Tensor, "block"], seen: sp.csr_matrix, positives: sp.csr_matrix, k: int
) -> tuple[Int[np.ndarray, "block k"], Int[np.ndarray, "block"]]:
    """The items of `top_items`, and the 1-based rank of each user's best placed positive among all unseen items, 0
    where the user has none; every user is scored once.

    `positives` is users x items with a row for each user of the scorer. Ties go to the lower item index.
    """
    items = np.full((len(users), k), -1, dtype=np.int64)
    ranks = np.zeros(len(users), dtype=np.int64)
    for start, block in user_blocks(users, scorer.num_items):
        own, scores = slice(start, start + len(block)), masked_scores(scorer, block, seen)
        _fill_best(scores, items[own], np.full((len(block), k), -np.inf, dtype=np.float32))
        ranks[own] = _first_ranks(scores, *row_pairs(positives, block))
    return items, ranks


def _fill_products(
    scorer: Scorer,
    users: Int[Tensor, "block"],
    seen: sp.csr_matrix,
    limits: Limits,
    items: np.ndarray,
    values: np.ndarray,
) -> Int[np.ndarray, "rest"]:
    """The lists of a large catalogue's dot product, in place; the places of the users whose lists are still to make."""
    everyone = np.arange(len(users))
    dot = scorer.scorer if isinstance(scorer, ServedScorer) else scorer
    if not isinstance(dot, DotScorer) or dot.item_vectors.dtype != torch.float32 or dot.item_vectors.is_cuda:
        return everyone
    if limits.groups is not None or not pays(scorer.num_items, items.shape[1]):
        return everyone
    known = everyone
    if isinstance(scorer, ServedScorer):
        known = everyone[~scorer.strangers[users].numpy()]
    own = users[known]
    best, scores, certain = best_products(
        dot.user_vectors[own], dot.item_vectors, seen[own.numpy()], items.shape[1], limits.left_out
    )
    done = known[certain]
    items[done], values[done] = best[certain], scores[certain]
    return np.setdiff1d(everyone, done, assume_unique=True)


def _fill_best(scores: Tensor, items: np.ndarray, values: np.ndarray) -> None:
    depth = min(items.shape[1], scores.shape[1])
    best, order = stable_top(scores, depth)
    order[best == -torch.inf] = -1
    items[:, :depth], values[:, :depth] = order.cpu().numpy(), best.cpu().numpy()


def _fill_best_by_kind(
    scores: Tensor, groups: Int[np.ndarray, "items"], at_most: int, items: np.ndarray, values: np.ndarray
) -> None:
    """As `_fill_best`, looking twice as deep for those rows that the cap left short."""
    k, rows, depth = items.shape[1], torch.arange(len(scores)), 2 * items.shape[1]
    while len(rows):
        best, order = stable_top(scores[rows], min(depth, scores.shape[1]))
        order[best == -torch.inf] = -1
        found = order.numpy()
        listed = (found >= 0) & _within(groups[found], at_most)
        place = listed.cumsum(axis=1) - 1
        row, column = np.nonzero(listed & (place < k))
        at = rows.numpy()[row], place[row, column]
        items[at], values[at] = found[row, column], best.numpy()[row, column]
        short = (place[:, -1] < k - 1) & (found[:, -1] >= 0)
        rows, depth = rows[torch.from_numpy(short)], 2 * depth if depth < scores.shape[1] else 0
        if not depth:
            return


def _within(kinds: Int[np.ndarray, "rows depth"], at_most: int) -> Bool[np.ndarray, "rows depth"]:
    """Whether at most so many of a row's kind stand up to each place, itself counted; -1 is no kind."""
    order = kinds.argsort(axis=1, kind="stable")
    ordered = np.take_along_axis(kinds, order, axis=1)
    places = np.broadcast_to(np.arange(kinds.shape[1]), kinds.shape)
    starts = np.concatenate([np.ones((len(kinds), 1), bool), ordered[:, 1:] != ordered[:, :-1]], axis=1)
    counts = places - np.maximum.accumulate(np.where(starts, places, 0), axis=1)
    found = np.empty(kinds.shape, dtype=bool)
    np.put_along_axis(found, order, (counts < at_most) | (ordered < 0), axis=1)
    return found


def _first_ranks(scores: Tensor, rows: Tensor, columns: Tensor) -> np.ndarray:
    """Of the cells (row, column), the rank of each row's best; 0 for a row without one."""
    users, num_items = scores.shape
    if not len(rows):
        return np.zeros(users, dtype=np.int64)
    target = scores[rows, columns]
    best = torch.full((users,), -torch.inf).scatter_reduce(0, rows, target, "amax")
    candidates = torch.where(target == best[rows], columns, num_items)
    place = torch.full((users,), num_items, dtype=torch.int64).scatter_reduce(0, rows, candidates, "amin")
    higher = (scores > best[:, None]).sum(dim=1)
    level = (scores == best[:, None]) & (torch.arange(num_items) < place[:, None])
    return torch.where(best > -torch.inf, higher + level.sum(dim=1) + 1, 0).numpy()


def masked_scores(scorer: Scorer, users: Int[Tensor, "block"], seen: sp.csr_matrix) -> Float[Tensor, "block items"]:
    """The scorer's block as a float32 tensor of its own, -inf on seen items; NaN counts as the lowest score."""
    with torch.no_grad():
        scores = scorer.scores(users).to(torch.float32)
    if scores.untyped_storage().nbytes() != scores.nbytes:  # a part of something larger
        scores = scores.clone(memory_format=torch.contiguous_format)
    if not scores.sum().isfinite():  # one pass to read where the next one writes
        lowest = torch.finfo(torch.float32).min
        scores.nan_to_num_(nan=lowest, neginf=lowest)
    rows, columns = row_pairs(seen, users)
    scores[rows, columns] = -torch.inf
    return scores


def row_pairs(matrix: sp.csr_matrix, users: Int[Tensor, "block"]) -> tuple[Tensor, Tensor]:
    """The non-zero cells of a block of rows, as (position in the block, column)."""
    block = matrix[users.numpy()]
    rows = np.repeat(np.arange(len(users)), np.diff(block.indptr))
    return torch.from_numpy(rows), torch.from_numpy(block.indices.astype(np.int64))


def user_blocks(users: Int[Tensor, "block"], num_items: int) -> Iterator[tuple[int, Tensor]]:
    """Consecutive blocks of users whose scores over all items fit in 16 MiB, with the position of the first."""
    size = max(1, _BLOCK_CELLS // max(num_items, 1))
    for start in range(0, len(users), size):
        yield start, users[start : start + size]
