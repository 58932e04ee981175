"""Training interactions held back from the retriever, so that a ranker learns on lists it could not know."""

from copy import copy

import numpy as np
import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from gnn.matrices import timed
from graph.hetero import INTERACTED

_LATER = 0.9
"""Share of validation pairs newer than the middle of train from which a split is one by time."""


def held_back(data: HeteroData, share: float, *, seed: int) -> tuple[HeteroData, sp.csr_matrix]:
    """The graph without a share of its training interactions and without validation, and the pairs held back.

    The pairs (users x items, float32, 1) are drawn as validation was: the newest where the graph is split by time,
    else evenly by the seed. Every user keeps at least one interaction.
    """
    edges = data[INTERACTED]
    users, items = edges.edge_index.numpy()
    liked = edges.weight.numpy() > 0 if "weight" in edges else np.ones(len(users), dtype=bool)
    order = np.random.default_rng(seed).permutation(len(users))
    if _by_time(data):
        order = order[np.argsort(-edges.timestamp.numpy()[order], kind="stable")]
    order = order[liked[order]]
    left = np.bincount(users[liked], minlength=int(data["User"].num_nodes))
    # the last one of a user in this order stays
    place = np.empty(len(order), dtype=np.int64)
    by_user = np.argsort(users[order], kind="stable")
    starts = np.cumsum(np.bincount(users[order], minlength=len(left))) - np.bincount(users[order], minlength=len(left))
    place[by_user] = np.arange(len(order)) - np.repeat(starts, np.bincount(users[order], minlength=len(left)))
    free = order[place < left[users[order]] - 1]
    taken = np.zeros(len(users), dtype=bool)
    taken[free[: round(share * len(order))]] = True
    shape = (int(data["User"].num_nodes), int(data["Item"].num_nodes))
    held = sp.csr_matrix((np.ones(int(taken.sum()), np.float32), (users[taken], items[taken])), shape=shape)
    held.sum_duplicates()
    held.data[:] = 1
    return _without(data, torch.from_numpy(taken)), held


def _by_time(data: HeteroData) -> bool:
    """Whether validation is newer than train."""
    edges = data[INTERACTED]
    newer = edges.get("valid_label_timestamp")
    if newer is None or not len(newer) or not timed(data):
        return False
    return float((newer > edges.timestamp.median()).float().mean()) >= _LATER


def _without(data: HeteroData, taken: torch.Tensor) -> HeteroData:
    less, edges = copy(data), data[INTERACTED]
    target = less[INTERACTED]
    for name in ("edge_index", "weight", "timestamp"):
        if name in edges:
            target[name] = edges[name][..., ~taken].contiguous()
    for name in [name for name in edges if name.startswith(("valid_label", "test_label"))]:
        target[name] = edges[name][..., :0]
    return less
