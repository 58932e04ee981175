"""Validation quality, fast: what every automatic choice of this room is made by (test pairs are never read)."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from gnn.matrices import held_out, interactions
from gnn.scorers.base import Scorer
from gnn.scorers.ranking import masked_scores, row_pairs, user_blocks
from gnn.scorers.stable import best_of

DEPTH = 20
"""Length of the list that is judged."""


@dataclass(frozen=True)
class Validation:
    """Users with validation positives (a seeded sample of at most `limit` of them) and what they have in train."""

    users: Tensor
    positives: sp.csr_matrix
    seen: sp.csr_matrix

    @classmethod
    def of(cls, data: HeteroData, *, seed: int, limit: int | None = None) -> "Validation":
        """The validation pairs of a graph; users ascending."""
        positives = held_out(data, "valid")
        users = np.flatnonzero(np.diff(positives.indptr))
        if limit is not None and len(users) > limit:
            users = np.sort(np.random.default_rng(seed).choice(users, limit, replace=False))
        return cls(torch.from_numpy(users.astype(np.int64)), positives, interactions(data))

    @property
    def num_pairs(self) -> int:
        """Validation positives of the users judged."""
        return int(np.diff(self.positives.indptr)[self.users.numpy()].sum())

    def quality(self, scorer: Scorer) -> float:
        """Mean over users of (recall@20 + ndcg@20) / 2 on validation, train items masked."""
        blocks = [
            self.block_quality(masked_scores(scorer, block, self.seen), block)
            for _, block in user_blocks(self.users, scorer.num_items)
        ]
        return float(torch.cat(blocks).mean()) if blocks else 0.0

    def block_quality(
        self, scores: Float[Tensor, "block items"], users: Int[Tensor, "block"]
    ) -> Float[Tensor, "block"]:
        """The same for each user of a block of already masked scores (-inf on seen items)."""
        rows, columns = row_pairs(self.positives, users)
        ranks = positive_ranks(scores, rows, columns)
        counts = torch.bincount(rows, minlength=len(users)).clamp_min(1)
        hit = ranks <= DEPTH
        gain = torch.where(hit, 1 / torch.log2(ranks.double() + 1), 0.0)
        ideal = (1 / torch.log2(torch.arange(2, DEPTH + 2).double())).cumsum(0)
        recall = torch.zeros(len(users), dtype=torch.float64).index_add(0, rows, hit.double()) / counts
        ndcg = (
            torch.zeros(len(users), dtype=torch.float64).index_add(0, rows, gain) / ideal[counts.clamp_max(DEPTH) - 1]
        )
        return (recall + ndcg) / 2


def positive_ranks(
    scores: Float[Tensor, "block items"], rows: Int[Tensor, "pairs"], columns: Int[Tensor, "pairs"]
) -> Int[Tensor, "pairs"]:
    """1-based rank of each (row, column) within its row, `DEPTH + 1` for every one below the judged list.

    An equal score counts as ahead only at a lower column.
    """
    target = scores[rows, columns]
    best = best_of(scores, min(DEPTH, scores.shape[1]))[0]
    ranks = (best[rows] > target[:, None]).sum(dim=1) + 1
    listed = (ranks <= DEPTH).nonzero().squeeze(1)
    level = (scores[rows[listed]] == target[listed, None]) & (torch.arange(scores.shape[1]) < columns[listed, None])
    ranks[listed] += level.sum(dim=1)
    return ranks.clamp_max(DEPTH + 1)
