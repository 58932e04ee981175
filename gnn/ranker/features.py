"""Numbers for each user and candidate, computed for a block of users at a time from the graph's evidence.

Cost is linear in users x candidates and in the links of the histories; what is held is a block's features, one table of
16-bit places, block x items, and the block's profile over the entities of one relation at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnn.ranker.evidence import AGREEMENT, FRIENDS, HISTORY, POPULAR, Evidence
from gnn.scorers.base import Scorer, SumScorer, deviations
from graph.schema import MODALITIES

MODEL = "model"
"""The group of what the retriever says itself."""


@dataclass(frozen=True)
class Feature:
    """One number of a user and a candidate."""

    name: str
    group: str
    """The evidence it is: what explanations and the study count together."""
    monotone: int = 0
    """1 where more of it can only speak for the candidate, -1 where only against."""


@dataclass(frozen=True)
class Features:
    """The features of candidates that a retriever found."""

    retriever: Scorer
    evidence: Evidence

    @cached_property
    def described(self) -> tuple[Feature, ...]:
        """Each column, in order."""
        found = []
        for name in ("score", *(f"score of part {n}" for n in range(len(parts_of(self.retriever)))))[: self._scorers]:
            found += [Feature(name, MODEL, 1), Feature(name.replace("score", "place", 1), MODEL, -1)]
        for links in self.evidence.links:
            found += [Feature(f"{links.group}, sum", links.group, 1), Feature(f"{links.group}, most", links.group, 1)]
        if len(self._modalities) > 1:
            found.append(Feature("modalities that agree", AGREEMENT, 1))
        for shared in self.evidence.shared:
            found += [
                Feature(f"{shared.group}, sum", shared.group, 1),
                Feature(f"{shared.group}, most", shared.group, 1),
            ]
        if self.evidence.friends is not None:
            found.append(Feature("friends who chose it", FRIENDS, 1))
        found += [Feature(name, POPULAR) for name in self.evidence.facts]
        found += [Feature(name, HISTORY) for name in self.evidence.habits]
        return (*found, Feature("length of the history", HISTORY), Feature("popularity of the history", HISTORY))

    @property
    def _modalities(self) -> list[int]:
        """Places of the modalities among the links."""
        return [n for n, links in enumerate(self.evidence.links) if links.group in MODALITIES]

    @property
    def _scorers(self) -> int:
        count = len(parts_of(self.retriever))
        return 1 if count == 1 else count + 1

    def of(
        self, users: Int[Tensor, "block"], candidates: Int[np.ndarray, "block candidates"], scores: "Scores"
    ) -> Float[np.ndarray, "block candidates features"]:
        """Of the candidates (item indices, -1 where there is none, whose features mean nothing)."""
        history = self.evidence.history[users.numpy()]
        columns = [*scores.columns(candidates)]
        places = _Places(candidates, history.shape[1])
        reached = [places.reached(history, links.weights) for links in self.evidence.links]
        columns += [column for pair in reached for column in pair]
        if len(self._modalities) > 1:
            columns.append(np.sum([reached[n][1] > 0 for n in self._modalities], axis=0))
        for shared in self.evidence.shared:
            columns += _in_common(sp.csr_matrix(history @ shared.weights), shared.owns, candidates)
        if self.evidence.friends is not None:
            known = self.evidence.friends[users.numpy()]
            columns.append(places.reached(known, self.evidence.chosen)[0])
        items = np.maximum(candidates, 0)
        columns += [values[items] for values in self.evidence.facts.values()]
        columns += [np.broadcast_to(v[users.numpy(), None], candidates.shape) for v in self.evidence.habits.values()]
        lengths = history.getnnz(axis=1).astype(np.float32)
        popular = self.evidence.facts["popular"]
        means = (history.sign() @ popular) / np.maximum(lengths, 1)
        columns += [np.broadcast_to(values[:, None], candidates.shape) for values in (np.log1p(lengths), means)]
        return np.stack(columns, axis=2).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Scores:
    """Scores of a block of users over all items: the retriever's and, of a sum, those of its parts."""

    total: Float[Tensor, "block items"]
    """Rows have a deviation of 1."""
    parts: Sequence[Float[Tensor, "block items"]]
    """The same of each part of a sum; empty where there is only one."""

    @classmethod
    def of(cls, scorer: Scorer, users: Int[Tensor, "block"]) -> "Scores":
        """Each part is scored once; the sum is put together from the same numbers."""
        parts = parts_of(scorer)
        if not isinstance(scorer, SumScorer) or len(parts) == 1:
            return cls(_standard(scorer.scores(users)), ())
        found = [part.scores(users) for part in parts]
        return cls(_standard(scorer.combined(found)), [_standard(scores) for scores in found])

    def columns(self, candidates: Int[np.ndarray, "block candidates"]) -> list[np.ndarray]:
        """Score and place among the candidates, counted from 0, of the whole and of each part."""
        at, found = torch.from_numpy(np.maximum(candidates, 0)), []
        for scores in (self.total, *self.parts):
            values = scores.gather(1, at)
            order = values.argsort(dim=1, descending=True, stable=True)
            places = torch.empty(values.shape).scatter_(
                1, order, torch.arange(values.shape[1], dtype=torch.float32).expand_as(values)
            )
            found += [values.numpy(), places.numpy()]
        return found


def parts_of(scorer: Scorer) -> Sequence[Scorer]:
    """What a sum sums, else the scorer alone."""
    return scorer.parts if isinstance(scorer, SumScorer) else (scorer,)


def _standard(scores: Float[Tensor, "block items"]) -> Float[Tensor, "block items"]:
    return (scores - scores.mean(dim=1, keepdim=True)) / deviations(scores)[:, None]


def _in_common(
    profiles: sp.csr_matrix, owns: sp.csr_matrix, candidates: Int[np.ndarray, "block candidates"]
) -> list[Float[np.ndarray, "block candidates"]]:
    """Over what a candidate has: the sum of what the user's history says of it, and the largest."""
    size = candidates.size
    items = np.maximum(candidates, 0).ravel()
    counts = np.diff(owns.indptr)[items]
    ends = np.cumsum(counts)
    at = np.arange(int(ends[-1]) if size else 0) + np.repeat(owns.indptr[items] - (ends - counts), counts)
    cells = np.repeat(np.arange(size), counts)
    dense = profiles.toarray()
    values = torch.from_numpy(dense[cells // candidates.shape[1], owns.indices[at]].astype(np.float32))
    where = torch.from_numpy(cells)
    total = torch.zeros(size).index_add_(0, where, values)
    most = torch.zeros(size).scatter_reduce_(0, where, values, "amax")
    return [total.numpy().reshape(candidates.shape), most.numpy().reshape(candidates.shape)]


class _Places:
    """Where each item stands among a user's candidates, so that what a history leads to is added up there alone."""

    def __init__(self, candidates: Int[np.ndarray, "block candidates"], items: int) -> None:
        self.shape, self.items = candidates.shape, items
        self.table = np.full(len(candidates) * items, -1, dtype=np.int16)
        rows = np.repeat(np.arange(len(candidates)), candidates.shape[1])
        there = candidates.ravel() >= 0
        slots = np.tile(np.arange(candidates.shape[1], dtype=np.int16), len(candidates))
        self.table[rows[there] * items + candidates.ravel()[there]] = slots[there]

    def reached(self, start: sp.csr_matrix, links: sp.csr_matrix) -> list[Float[np.ndarray, "block candidates"]]:
        """Over the entries (h, w) of a user's row of `start`: the sum of `w links[h, c]`, and the largest."""
        counts = np.diff(links.indptr)[start.indices]
        ends = np.cumsum(counts)
        first = links.indptr[start.indices] - (ends - counts)
        at = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(first, counts)
        rows = np.repeat(np.repeat(np.arange(start.shape[0]), np.diff(start.indptr)), counts)
        slots = self.table[rows * self.items + links.indices[at]]
        there = np.flatnonzero(slots >= 0)
        cells = torch.from_numpy(rows[there] * self.shape[1] + slots[there])
        values = torch.from_numpy(links.data[at[there]])
        weighed = values * torch.from_numpy(np.repeat(start.data, counts)[there])
        size = self.shape[0] * self.shape[1]
        total = torch.zeros(size).index_add_(0, cells, weighed)
        most = torch.zeros(size).scatter_reduce_(0, cells, weighed, "amax")
        return [total.numpy().reshape(self.shape), most.numpy().reshape(self.shape)]
