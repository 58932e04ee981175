"""Ranking a scorer's catalogue for a block of users: one code for validation, evaluation and the batch job."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnn.scorers.base import Scorer

_BLOCK_CELLS = 1 << 24
"""Scores held at once: 64 MiB of float32."""


def top_items(
    scorer: Scorer, users: Int[Tensor, "block"], seen: sp.csr_matrix, k: int
) -> tuple[Int[np.ndarray, "block k"], Float[np.ndarray, "block k"]]:
    """The `k` best unseen items of each user, best first, equal scores by lower item index.

    Items in the user's row of `seen` (users x items) never appear; where fewer than `k` are left the rest is -1
    with score -inf. Items are int64, scores float32. Users are taken in blocks of at most 64 MiB of scores.
    """
    items = np.full((len(users), k), -1, dtype=np.int64)
    values = np.full((len(users), k), -np.inf, dtype=np.float32)
    for start, block in user_blocks(users, scorer.num_items):
        own = slice(start, start + len(block))
        _fill_best(masked_scores(scorer, block, seen), items[own], values[own])
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


def _fill_best(scores: Tensor, items: np.ndarray, values: np.ndarray) -> None:
    depth = min(items.shape[1], scores.shape[1])
    best, order = stable_top(scores, depth)
    order[best == -torch.inf] = -1
    items[:, :depth], values[:, :depth] = order.cpu().numpy(), best.cpu().numpy()


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
        scores = scorer.scores(users).to(torch.float32, copy=True)
    lowest = torch.finfo(torch.float32).min
    scores = scores.nan_to_num_(nan=lowest, neginf=lowest)
    rows, columns = row_pairs(seen, users)
    scores[rows, columns] = -torch.inf
    return scores


def row_pairs(matrix: sp.csr_matrix, users: Int[Tensor, "block"]) -> tuple[Tensor, Tensor]:
    """The non-zero cells of a block of rows, as (position in the block, column)."""
    block = matrix[users.numpy()]
    rows = np.repeat(np.arange(len(users)), np.diff(block.indptr))
    return torch.from_numpy(rows), torch.from_numpy(block.indices.astype(np.int64))


def user_blocks(users: Int[Tensor, "block"], num_items: int) -> Iterator[tuple[int, Tensor]]:
    """Consecutive blocks of users whose scores over all items fit in 64 MiB, with the position of the first."""
    size = max(1, _BLOCK_CELLS // max(num_items, 1))
    for start in range(0, len(users), size):
        yield start, users[start : start + size]


def stable_top(scores: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """`topk` with ties broken by lower index, which `torch.topk` alone does not promise."""
    width = min(depth + 1, scores.shape[1])
    values, order = scores.topk(width, dim=1)
    tied = torch.zeros(len(scores), dtype=torch.bool)
    if width > depth:
        # only a tie across the cut can bring in the wrong items; inside it a second sort is enough
        tied = (values[:, depth - 1] == values[:, depth]) & (values[:, depth] > -torch.inf)
        values, order = values[:, :depth], order[:, :depth].clone()
    if tied.any():
        exact = scores[tied].sort(dim=1, descending=True, stable=True)
        values, order = values.clone(), order.clone()
        values[tied], order[tied] = exact.values[:, :depth], exact.indices[:, :depth]
    by_index = order.argsort(dim=1)
    values, order = values.gather(1, by_index), order.gather(1, by_index)
    by_value = values.argsort(dim=1, descending=True, stable=True)
    return values.gather(1, by_value), order.gather(1, by_value).clone()
