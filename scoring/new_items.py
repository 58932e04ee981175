"""Places for items nobody has yet: the best by content, spread over a list."""

import numpy as np
import torch
from jaxtyping import Float, Int

from gnn.bundle.bundle import Bundle
from gnn.scorers.ranking import user_blocks
from gnn.scorers.served import CONTENT, MODEL


def places(length: int, share: float) -> Int[np.ndarray, "places"]:
    """Where new items stand in a list, counted from 0: `round(share * length)` places in the middle of equal parts."""
    count = round(share * length)
    return (((np.arange(count) + 0.5) * length) // max(count, 1)).astype(np.int64)


def place_new_items(
    bundle: Bundle,
    users: Int[np.ndarray, "block"],
    share: float,
    items: Int[np.ndarray, "block k"],
    scores: Float[np.ndarray, "block k"],
    sources: np.ndarray,
) -> None:
    """Give a share of each list, in place, to the user's best new items; the others keep their order.

    `sources` is an object array `[block, k]`. A user without a history keeps the list: nothing says which content it
    would be. The score of a new item is what its media resemble, on a scale of its own. None is listed twice, and a
    list with too few of one kind closes up.
    """
    depth, new = items.shape[1], bundle.new_items.items
    at = places(depth, share)[: len(new)]
    if not len(at):
        return
    free = np.setdiff1d(np.arange(depth + len(at)), at)[:depth]
    known = np.flatnonzero(sources[:, 0] == MODEL)
    for start, block in user_blocks(torch.from_numpy(users[known]), len(bundle.item_ids)):
        rows = known[start : start + len(block)]
        reached = bundle.new_items.scores(bundle.history[block.numpy()])
        reached[torch.from_numpy(bundle.seen[block.numpy()][:, new].toarray() > 0)] = -torch.inf
        order = reached.argsort(dim=1, descending=True, stable=True)[:, : len(at)]
        best, values = new[order.numpy()], reached.gather(1, order).numpy()
        best[values == -np.inf] = -1  # seen outside of train, or nothing leads there
        others = (items[rows] >= 0) & ~(items[rows][:, :, None] == best[:, None, :]).any(axis=2)
        place = np.where(others, free[np.maximum(others.cumsum(axis=1) - 1, 0)], depth + len(at))
        place = np.hstack([place, np.where(best >= 0, at, depth + len(at))])
        kept = place.argsort(axis=1, kind="stable")[:, :depth]
        listed = np.take_along_axis(place, kept, axis=1) < depth + len(at)
        for table, more in ((items, best), (scores, values), (sources, np.full(best.shape, CONTENT, dtype=object))):
            table[rows] = np.take_along_axis(np.hstack([table[rows], more]), kept, axis=1)
        for table, nothing in ((items, -1), (scores, -np.inf)):
            table[rows] = np.where(listed, table[rows], nothing)
