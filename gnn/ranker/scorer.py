"""Two stages as one scorer: a retriever finds the candidates, trees over the graph's evidence order them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnn.ranker.evidence import Evidence
from gnn.ranker.features import MODEL, Features, Scores
from gnn.ranker.trees import Trees
from gnn.scorers.base import Scorer, deviations
from gnn.scorers.contributions import Contribution, Decomposition, decompose
from gnn.scorers.extended import ExtendedScorer
from gnn.scorers.ranking import row_pairs
from gnn.scorers.stable import stable_top

START, PLACE = "start", "place"
"""What every candidate's score begins with; what moves the score of an item that is none."""

MOST_CANDIDATES = 10_000
"""Of a user; a place among them is a 16-bit number."""

_BLOCK_CELLS = 1 << 22
"""Users x items, or users x candidates x features, that one block of users takes at most: 16 MiB a matrix."""


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
        owned = [shared.owns.shape[1] for shared in self.evidence.shared]
        width = max(items, self.depth * len(self.features.described), *owned)
        for block in torch.split(users, max(1, _BLOCK_CELLS // width)) if len(users) else ():
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

    def shares(self, found: Candidates, user: int, places: Int[np.ndarray, "places"]) -> dict[str, np.ndarray]:
        """Group of evidence -> what it gives the user's candidates at these places (`user`: the row in the block).

        Exact (`Trees.shares`): the groups and `START`, what every candidate has before anything is known of it, add up
        to the score.
        """
        rows = found.features[user, places]
        by_feature, start = self.trees.shares(rows)
        described = self.retrieval.features.described
        shares = {feature.group: np.zeros(len(rows)) for feature in described}
        for number, feature in enumerate(described):
            shares[feature.group] += by_feature[:, number]
        shares[MODEL] += self.blend * rows[:, 0]
        return shares | {START: np.full(len(rows), start)}

    def decomposition(self, user: int, item: int, seen: sp.csr_matrix) -> Decomposition:
        """A candidate's score: shares by evidence, and these over the items of the history.

        What a kind of link, or of what is shared, gives is divided over the history as it is strong; what the retriever
        gives, as its own score is made up. Both are estimates of what stands behind an exact share. What is no
        candidate has the retriever's score over the user's deviation, and `rest[PLACE]` moves it behind the candidates.
        """
        found = next(self.retrieval.candidates(torch.tensor([user])))
        places = np.flatnonzero(found.items[0] == item)
        if not len(places):
            return self._behind(found, user, item, seen)
        evidence = {name: float(values[0]) for name, values in self.shares(found, 0, places).items()}
        rest, given = {START: evidence.pop(START)}, []
        history = self.retrieval.evidence.history[user]
        known = self.retrieval.evidence
        links = {links.group: links.weights for links in known.links}
        shared = {shared.group: shared for shared in known.shared}
        for group, share in evidence.items():
            inner: dict[tuple[int, str], float] = {}
            if group in links or group in shared:
                if group in links:
                    strengths = history.data * links[group][history.indices, item].toarray().ravel()
                else:
                    common = shared[group].weights[history.indices] @ shared[group].owns[item].T
                    strengths = history.data * common.toarray().ravel()
                inner = {(int(h), group): float(s) for h, s in zip(history.indices, strengths, strict=True) if s}
            elif group == MODEL:
                parts = decompose(self.retrieval.scorer, user, item, seen)
                for c in parts.contributions:
                    inner[c.item, c.by] = inner.get((c.item, c.by), 0.0) + max(c.value, 0.0)
            total = sum(inner.values())
            if total > 0:
                given += [Contribution(h, by, share * value / total, False) for (h, by), value in inner.items()]
            elif share:
                rest[group] = share
        score = rest[START] + sum(evidence.values())
        return Decomposition(score, tuple(given), rest, evidence)

    def _behind(self, found: Candidates, user: int, item: int, seen: sp.csr_matrix) -> Decomposition:
        inner = decompose(self.retrieval.scorer, user, item, seen)
        scale = 1 / float(deviations(self.retrieval.scorer.scores(torch.tensor([user])))[0])
        score = float(self.ordered(found, self.rank(found))[0, item])
        given = tuple(replace(c, value=scale * c.value) for c in inner.contributions)
        rest = {name: scale * value for name, value in inner.rest.items()}
        return Decomposition(score, given, rest | {PLACE: score - scale * inner.score})


def retrieval_of(scorer: Scorer) -> Scorer:
    """What finds the candidates; a scorer without a second stage itself."""
    if isinstance(scorer, ExtendedScorer):
        return replace(scorer, scorer=retrieval_of(scorer.scorer))
    return scorer.retrieval.scorer if isinstance(scorer, RankedScorer) else scorer
