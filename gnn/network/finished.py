"""A network as a scorer, and how good it is on validation."""

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn import functional

from evaluation.metrics import user_metrics
from gnn.network.config import VALIDATION_SCORES
from gnn.network.hetero_network import HeteroNetwork
from gnn.scorers.base import DotScorer
from gnn.scorers.ranking import top_items


def finished_scorer(network: HeteroNetwork, cosine: bool) -> DotScorer:
    """The trained vectors; users nothing is known of stand at the mean of the others: ranks by popularity."""
    with torch.no_grad():
        vectors = network()
    users, items = vectors.users, vectors.items
    if cosine:
        users, items = functional.normalize(users), functional.normalize(items)
    unknown = torch.from_numpy(network.graph.history.getnnz(axis=1) == 0).to(users.device)
    cold = unknown & (users.abs().sum(dim=1) == 0)
    if cold.any() and not cold.all():
        users = users.clone()
        users[cold] = users[~cold].mean(dim=0)
    return DotScorer(users.contiguous(), items.contiguous())


def validate(network: HeteroNetwork, cosine: bool, valid: sp.csr_matrix) -> dict[str, float]:
    """Mean NDCG@20 and recall@20 over users with validation pairs, training items masked.

    Of many users or items, evenly spaced users: about `validation_users`, and about `VALIDATION_SCORES` scores.
    """
    users = np.flatnonzero(np.diff(valid.indptr))
    step = max(1, len(users) // network.config.validation_users, len(users) * valid.shape[1] // VALIDATION_SCORES)
    users = users[::step]
    depth = min(20, valid.shape[1])
    scorer = finished_scorer(network, cosine)
    ranked, _ = top_items(scorer, torch.from_numpy(users), network.graph.history, depth)
    values = user_metrics(ranked, valid[users], [depth])
    return {
        "ndcg@20": float(values[f"ndcg@{depth}"].mean()),
        "recall@20": float(values[f"recall@{depth}"].mean()),
    }
