"""The best inner products without all of them in memory: tiles that stay in the processor's cache, and what is left.

The product of a tile of items with a block of users is reduced, while it is still in cache, to the best score of each
32 items. Whoever is among the k best lies in one of the k best groups; those alone are scored again, one user at a
time, and a bound on the rounding of both products says for each user whether that was enough.
"""

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnn.scorers.stable import stable_top

_USERS, _TILE, _GROUP = 512, 1024, 32
"""Users and items of a tile, 2 MiB of scores; items whose best score stands for them."""

_SPARE = 3
"""Groups looked into beyond k, so that scores which differ by no more than rounding are seldom left undecided."""


def pays(items: int, k: int) -> bool:
    """Whether the groups looked into are a small part of a catalogue."""
    return items >= 8 * _TILE and items >= 16 * (k + _SPARE) * _GROUP


def best_products(
    users: Float[Tensor, "block dim"],
    items: Float[Tensor, "items dim"],
    seen: sp.csr_matrix,
    k: int,
    left_out: Bool[np.ndarray, "items"] | None = None,
) -> tuple[Int[np.ndarray, "block k"], Float[np.ndarray, "block k"], Bool[np.ndarray, "block"]]:
    """The `k` best items of each user, equal scores by lower index, and of which users that is certain.

    `seen` (block x items) and `left_out` are in no list; -1 and -inf where fewer than `k` are left. Vectors are
    float32. A user is uncertain where rounding could decide, or a product overflow: rank all items for them.
    """
    found = np.full((len(users), k), -1, dtype=np.int64)
    scores = np.full((len(users), k), -np.inf, dtype=np.float32)
    certain = np.zeros(len(users), dtype=bool)
    longest = items.norm(dim=1).max()
    slack = (users.norm(dim=1) * longest * (2 * users.shape[1] * torch.finfo(torch.float32).eps)).numpy()
    for start in range(0, len(users), _USERS):
        own = slice(start, start + _USERS)
        block, rows = users[own], seen[own]
        hidden = np.repeat(np.arange(len(block)), np.diff(rows.indptr)), rows.indices.astype(np.int64)
        bests = _group_bests(block, items, hidden, left_out)
        best = bests.topk(k + _SPARE + 1, dim=1)
        groups = best.indices[:, :-1].sort(dim=1).values.numpy()
        items_of = _members(groups, len(items))
        own_scores = _scores(block.numpy(), items.numpy(), groups)
        _hide(own_scores, groups, hidden, len(items))
        if left_out is not None:
            own_scores[left_out[items_of]] = -np.inf
        values, places = stable_top(torch.from_numpy(own_scores), k)
        scores[own] = values.numpy()
        found[own] = np.where(scores[own] > -np.inf, np.take_along_axis(items_of, places.numpy(), axis=1), -1)
        outside = best.values[:, -1].numpy()
        decided = (outside == -np.inf) | (scores[own][:, -1] > outside + slack[own])
        certain[own] = decided & np.isfinite(slack[own])
    return found, scores, certain


Pairs = tuple[Int[np.ndarray, "pairs"], Int[np.ndarray, "pairs"]]
"""Rows of a block and items."""


def _group_bests(
    users: Float[Tensor, "block dim"], items: Float[Tensor, "items dim"], hidden: Pairs, left_out: np.ndarray | None
) -> Float[Tensor, "block groups"]:
    """The best score of each whole group that may be listed; what is left at the end is in none."""
    bests = torch.empty(len(items) // _GROUP, len(users))
    scores, other = torch.empty(_TILE, len(users)), users.T.contiguous()
    order = np.argsort(hidden[1], kind="stable")
    row, column = (pair[order] for pair in hidden)
    for start in range(0, len(bests) * _GROUP, _TILE):
        tile = items[start : min(start + _TILE, len(bests) * _GROUP)]
        part = torch.mm(tile, other, out=scores[: len(tile)])
        low, high = np.searchsorted(column, (start, start + len(tile)))
        if high > low:
            part[torch.from_numpy(column[low:high] - start), torch.from_numpy(row[low:high])] = -torch.inf
        if left_out is not None:
            part[torch.from_numpy(left_out[start : start + len(tile)])] = -torch.inf
        first = start // _GROUP
        torch.amax(part.view(-1, _GROUP, len(users)), dim=1, out=bests[first : first + len(tile) // _GROUP])
    return bests.T.contiguous()


def _members(groups: Int[np.ndarray, "block some"], items: int) -> Int[np.ndarray, "block members"]:
    """The items of the groups, and those at the end that are in none."""
    inside = (groups[:, :, None] * _GROUP + np.arange(_GROUP)).reshape(len(groups), -1)
    rest = np.broadcast_to(np.arange(items - items % _GROUP, items), (len(groups), items % _GROUP))
    return np.hstack([inside, rest])


def _scores(users: np.ndarray, items: np.ndarray, groups: np.ndarray) -> Float[np.ndarray, "block members"]:
    """Of `_members`: a user's groups are read whole, one after another."""
    whole, width = len(items) - len(items) % _GROUP, groups.shape[1] * _GROUP
    grouped = items[:whole].reshape(-1, _GROUP * items.shape[1])
    scores = np.empty((len(users), width + len(items) - whole), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # such users are uncertain anyway
        for row, (own, vector) in enumerate(zip(groups, users, strict=True)):
            np.matmul(grouped[own].reshape(width, -1), vector, out=scores[row, :width])
        np.matmul(users, items[whole:].T, out=scores[:, width:])
    return scores


def _hide(scores: Float[np.ndarray, "block members"], groups: np.ndarray, hidden: Pairs, items: int) -> None:
    """-inf, in place, for pairs that are in no list."""
    row, column = hidden
    place = np.full((len(groups), items // _GROUP + 1), -1, dtype=np.int32)
    np.put_along_axis(place, groups, np.arange(groups.shape[1], dtype=np.int32)[None], axis=1)
    place[:, -1] = groups.shape[1]  # of what is in no whole group
    at = place[row, column // _GROUP] * _GROUP + column % _GROUP
    scores[row[at >= 0], at[at >= 0]] = -np.inf
