"""How new items fare in a measurement: what reaches the lists, and how well content tells them apart."""

import numpy as np
import torch
from torch_geometric.data import HeteroData

from evaluation.bootstrap import group_summary
from evaluation.config import EvaluationConfig
from evaluation.metrics import evaluated_users, user_metrics
from gnn.content import NewItems as GraphNewItems
from gnn.matrices import Split, held_out, interactions
from gnn.scorers.ranking import user_blocks
from modalweave.results.metric import metrics_of
from modalweave.results.metrics import NewItems


def cold_start(
    data: HeteroData, split: Split, ranked: np.ndarray, config: EvaluationConfig, *, seed: int
) -> NewItems | None:
    """The facts of the new items; None where there are none. `ranked` is users x depth, -1 where nothing is listed.

    `among_new` looks at users with a history and a held-out new item, and ranks the new items by content
    alone, as `scoring.new_items` does.
    """
    found = GraphNewItems.of(data)
    new = found.items
    if not len(new):
        return None
    seen, positives = interactions(data), held_out(data, split)[:, new]
    users = evaluated_users(positives)
    users = users[seen.getnnz(axis=1)[users] > 0]
    depth = min(max(config.k), len(new))
    lists = np.full((len(ranked), max(config.k)), -1, dtype=np.int64)
    for start, block in user_blocks(torch.from_numpy(users), len(new)):
        best, order = found.scores(seen[block.numpy()]).sort(dim=1, descending=True, stable=True)
        order[best == -torch.inf] = -1
        lists[users[start : start + len(block)], :depth] = order[:, :depth].numpy()
    recall: dict[str, np.ndarray] = {}
    if len(users):
        values = user_metrics(lists[users], positives[users], config.k)
        recall = {name: value for name, value in values.items() if name.startswith("recall@")}
    listed = ranked[ranked >= 0]
    return NewItems(
        items=len(new),
        share_of_lists=float(np.isin(listed, new).mean()) if len(listed) else 0.0,
        users=len(users),
        positives=int(positives[users].nnz),
        among_new=metrics_of(group_summary(recall, seed=seed, resamples=min(config.resamples, 200))) if recall else {},
        random={f"recall@{k}": min(1.0, k / len(new)) for k in config.k},
    )
