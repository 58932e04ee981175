"""Item-kNN: cosine similarity of items by their users, k nearest kept (Sarwar et al., WWW 2001)."""

import numpy as np
import scipy.sparse as sp
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.blocked import blocked_top
from gnn.closed_form.config import ItemKNNConfig
from gnn.closed_form.recency import Recent
from gnn.footprint import Footprint, Sizes, validation_bytes
from gnn.scorers.base import ItemItemScorer


class ItemKNN(Recent[ItemKNNConfig]):
    """`W_ij = |users of i and j| / (sqrt(|i| |j|) + shrinkage)`, the k largest of each row; scores are `X W`.

    Where interactions count differently, it is the inner product of the items' columns over their lengths.
    """

    Config = ItemKNNConfig

    def fit(self, data: HeteroData, *, seed: int = 0, progress: Progress | None = None) -> ItemItemScorer:
        """Sparse weights, computed a block of rows at a time."""
        return self._near(self.choose_histories(data, self._near, seed=seed), progress)

    def _near(self, history: sp.csr_matrix, progress: Progress | None = None) -> ItemItemScorer:
        weights = cosine_links(history, self.config.k, shrinkage=self.config.shrinkage, progress=progress)
        return ItemItemScorer(history, weights)

    @classmethod
    def footprint(cls, sizes: Sizes, config: ItemKNNConfig) -> Footprint:
        """Eight bytes an entry kept, twice that while rows are pruned."""
        entries = sizes.items * config.k
        work = 16 * entries + validation_bytes(sizes)
        return Footprint("item_knn", work, 8 * entries, edges=sizes.pairs, lower="gnn.item_knn.k")


def cosine_links(
    history: sp.csr_matrix, k: int, *, shrinkage: float, progress: Progress | None = None
) -> sp.csr_matrix:
    """Items x items: the inner product of the items' columns over their lengths and the shrinkage, k a row kept."""
    columns = history.T.tocsr()
    norms = np.sqrt(np.asarray(history.power(2).sum(axis=0)).ravel())

    def similarity(start: int, stop: int) -> sp.csr_matrix:
        block = (columns[start:stop] @ history).tocsr()
        rows = np.repeat(np.arange(start, stop), np.diff(block.indptr))
        block.data /= norms[rows] * norms[block.indices] + shrinkage
        block.data[rows == block.indices] = 0
        block.eliminate_zeros()
        return block

    return blocked_top(similarity, history.shape[1], k, progress)
