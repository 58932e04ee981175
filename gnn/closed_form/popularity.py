"""The most popular items for everybody: the baseline under all others, and what a user without a history gets."""

import numpy as np
import torch
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.components import NoSettings, Recommender
from gnn.matrices import interactions
from gnn.scorers.base import DotScorer


class Popularity(Recommender[NoSettings]):
    """Scores an item by the number of users who have it in train."""

    def fit(self, data: HeteroData, *, seed: int = 0, progress: Progress | None = None) -> DotScorer:
        """One-dimensional vectors: 1 for each user, the count for each item."""
        matrix = interactions(data)
        counts = np.asarray(matrix.sum(axis=0), dtype=np.float32).reshape(-1, 1)
        return DotScorer(torch.ones(matrix.shape[0], 1), torch.from_numpy(counts))
