"""The most popular items for everybody: the baseline under all others, and what a user without a history gets."""

import numpy as np
import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.closed_form.config import PopularityConfig
from gnn.closed_form.recency import Recent
from gnn.scorers.base import DotScorer


class Popularity(Recent[PopularityConfig]):
    """Scores an item by the number of users who have it in train; strong and recent interactions count more."""

    Config = PopularityConfig

    def fit(self, data: HeteroData, *, seed: int = 0, progress: Progress | None = None) -> DotScorer:
        """One-dimensional vectors: 1 for each user, the count for each item."""
        return _counted(self.choose_histories(data, _counted, seed=seed))


def popular_histories(
    data: HeteroData, config: PopularityConfig, *, seed: int
) -> tuple[sp.csr_matrix, PopularityConfig]:
    """Users x items whose column sums are what is popular, strengths and the half-life of the settings counted; and
    the settings with the half-life used."""
    popular = Popularity(config)
    return popular.choose_histories(data, _counted, seed=seed), popular.resolved()


def _counted(history: sp.csr_matrix) -> DotScorer:
    counts = np.asarray(history.sum(axis=0), dtype=np.float32).reshape(-1, 1)
    return DotScorer(torch.ones(history.shape[0], 1), torch.from_numpy(counts))
