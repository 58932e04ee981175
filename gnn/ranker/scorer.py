"""Two stages as one scorer: a retriever finds the candidates, trees over the graph's evidence order them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnn.ranker.evidence import Evidence
from gnn.ranker.features import Features, Scores
from gnn.ranker.trees import Trees
from gnn.scorers.base import Scorer
from gnn.scorers.ranking import row_pairs, stable_top

_BLOCK_CELLS = 1 << 21
"""Users x items, or users x candidates x features, that one block of users takes at most: 8 MiB a matrix."""


@dataclass(frozen=True)
class Candidates:
    """A block of users with what their lists are made of."""

    users: Int[Tensor, "block"]
    items: Int[np.ndarray, "block candidates"]
    """Best first, -1 where there is none."""
    scores: Float[Tensor, "block items"]
    """The retriever's, each row with a mean of 0 and a deviation of 1."""
    features: Float[np.ndarray, "block candidates features"]


@dataclass(frozen=True)
class Retrieval:
    """The first stage: a scorer's best unseen items and what the graph knows of them."""

    scorer: Scorer
    evidence: Evidence
    depth: int
    """Candidates of each user."""

    @cached_property
    def features(self) -> Features:
        """What the trees look at."""
        return Features(self.scorer, self.evidence)

    def candidates(self, users: Int[Tensor, "block"]) -> Iterator[Candidates]:
        """In blocks of users that stay small; a user without a history has none."""
        history, items = self.evidence.history, self.scorer.num_items
        width = max(items, self.depth * len(self.features.described))
        for block in users.split(max(1, _BLOCK_CELLS // width)):
            scores = Scores.of(self.scorer, block)
            unseen = scores.total.clone()
            unseen[row_pairs(history, block)] = -torch.inf
            unseen[torch.from_numpy(history[block.numpy()].getnnz(axis=1) == 0)] = -torch.inf
            best, order = stable_top(unseen, min(self.depth, items))
            order[best == -torch.inf] = -1
            found = order.numpy()
            yield Candidates(block, found, scores.total, self.features.of(block, found, scores))


@dataclass(frozen=True)
class RankedScorer:
    """A retriever whose first unseen items are ordered anew; what comes after them keeps its order.

    A candidate scores `trees(features) + blend * z`, z the retriever's score over the user's mean and deviation. The
    other items follow below the last candidate in the retriever's order; what the user has chosen stands where the
    retriever puts it beside the best candidate. Users without a history get the retriever's order.
    """

    retrieval: Retrieval
    trees: Trees
    blend: float
    kind: str = field(default="ranked", init=False)

    @property
    def num_users(self) -> int:
        """The retriever's."""
        return self.retrieval.scorer.num_users

    @property
    def num_items(self) -> int:
        """The retriever's."""
        return self.retrieval.scorer.num_items

    def scores(self, users: Int[Tensor, "block"]) -> Float[Tensor, "block items"]:
        """See the class."""
        blocks = [self.ordered(found, self.rank(found)) for found in self.retrieval.candidates(users)]
        return torch.cat(blocks) if blocks else torch.zeros(0, self.num_items)

    def rank(self, found: Candidates) -> Float[Tensor, "block candidates"]:
        """What the trees say of each candidate."""
        rows = found.features.reshape(-1, found.features.shape[2])
        return torch.from_numpy(self.trees.scores(rows)).reshape(found.items.shape)

    def ordered(self, found: Candidates, ranked: Float[Tensor, "block candidates"]) -> Float[Tensor, "block items"]:
        """Scores over all items from what the trees say of the candidates."""
        there = torch.from_numpy(found.items >= 0)
        at = torch.from_numpy(np.maximum(found.items, 0))
        before = found.scores.gather(1, at)
        values = ranked + self.blend * before
        least = values.masked_fill(~there, torch.inf).amin(dim=1, keepdim=True)
        last = before.masked_fill(~there, torch.inf).amin(dim=1, keepdim=True)
        result = found.scores + torch.where(there[:, :1], least - last, 0.0)
        first = values.masked_fill(~there, -torch.inf).amax(dim=1) - before[:, 0]
        rows, columns = row_pairs(self.retrieval.evidence.history, found.users)
        result[rows, columns] = found.scores[rows, columns] + first[rows]
        row, place = there.nonzero(as_tuple=True)
        result[row, at[row, place]] = values[row, place]
        return result
