"""How far another form of a model ranks as the model does."""

import numpy as np
import scipy.sparse as sp
import torch

from gnn.bundle.bundle import Bundle
from gnn.scorers.base import Scorer, deviations
from gnn.scorers.ranking import top_items

_CHECKED_USERS = 256
_DEPTH = 20


def agreement(bundle: Bundle, original: Scorer, other: Scorer) -> dict[str, float]:
    """On up to 256 users of a bundle: the share of their top 20 that is the same, the seen items left out, and the
    largest error of a score in units of a user's score deviation."""
    count = min(_CHECKED_USERS, original.num_users)
    users = torch.linspace(0, original.num_users - 1, count).long()
    depth = min(_DEPTH, original.num_items)
    expected, _ = top_items(original, users, bundle.seen, depth)
    found, _ = top_items(other, users, bundle.seen, depth)
    shape = (count, original.num_items)
    same = _membership(expected, shape).multiply(_membership(found, shape)).sum()
    exact = original.scores(users)
    error = (other.scores(users) - exact).abs().amax(dim=1) / deviations(exact)
    return {
        "users": float(count),
        "top20_overlap": round(float(same / max((expected >= 0).sum(), 1)), 6),
        "max_error_in_deviations": round(float(error.max()), 8),
    }


def _membership(items: np.ndarray, shape: tuple[int, int]) -> sp.csr_matrix:
    rows, places = np.nonzero(items >= 0)
    return sp.csr_matrix((np.ones(len(rows)), (rows, items[rows, places])), shape=shape)
