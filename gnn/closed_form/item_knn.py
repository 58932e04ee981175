"""Item-kNN: cosine similarity of items by their users, k nearest kept (Sarwar et al., WWW 2001)."""

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, Field, PositiveInt
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.blocked import blocked_top
from gnn.matrices import interactions
from gnn.scorers.base import ItemItemScorer


class ItemKNNConfig(BaseModel, extra="forbid"):
    """How many neighbours, and how much weakly supported similarities are held down."""

    k: PositiveInt = 100
    """Neighbours kept for each item."""

    shrinkage: float = Field(10.0, ge=0)
    """Added to the product of norms: similarities that rest on few users shrink towards 0."""


class ItemKNN:
    """`W_ij = |users of i and j| / (sqrt(|i| |j|) + shrinkage)`, the k largest of each row; scores are `X W`."""

    def __init__(self, config: ItemKNNConfig | None = None) -> None:
        self.config = config or ItemKNNConfig()

    def fit(self, data: HeteroData, *, seed: int = 0, progress: Progress | None = None) -> ItemItemScorer:
        """Sparse weights, computed a block of rows at a time."""
        history = interactions(data)
        columns = history.T.tocsr()
        norms = np.sqrt(np.asarray(history.sum(axis=0)).ravel())

        def similarity(start: int, stop: int) -> sp.csr_matrix:
            block = (columns[start:stop] @ history).tocsr()
            rows = np.repeat(np.arange(start, stop), np.diff(block.indptr))
            block.data /= norms[rows] * norms[block.indices] + self.config.shrinkage
            block.data[rows == block.indices] = 0
            block.eliminate_zeros()
            return block

        return ItemItemScorer(history, blocked_top(similarity, history.shape[1], self.config.k, progress))
