"""A score taken apart: how much of it each item of the user's history gives, and what no item gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sp
import torch
from scipy.optimize import nnls

from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer, UserTerms, deviations
from gnn.scorers.served import POPULARITY, ServedScorer


@dataclass(frozen=True)
class Contribution:
    """What one item of the history gives to one score, one way."""

    item: int
    by: str
    """`interactions` (what people chose together, and in a network all it passes on), or a modality."""
    value: float
    exact: bool
    """False where it is an estimate: a user's vector projected on the vectors of the history."""


@dataclass(frozen=True)
class Decomposition:
    """`score = sum of the contributions + sum of the rest`, always; see `exact` for what it means."""

    score: float
    contributions: tuple[Contribution, ...]
    rest: Mapping[str, float] = field(default_factory=dict)
    """`popularity`: what every user gets; `user`: what the model learned of the user beside the history."""
    evidence: Mapping[str, float] = field(default_factory=dict)
    """Of a second stage: what each kind of evidence gives, exactly; they and `rest["start"]` add up to the score."""

    @property
    def exact(self) -> bool:
        """Whether every contribution is a summand of the model's own formula, none an estimate."""
        return all(c.exact for c in self.contributions)

    def by_item(self) -> dict[int, float]:
        """Item of the history -> all it gives, largest first."""
        totals: dict[int, float] = {}
        for c in self.contributions:
            totals[c.item] = totals.get(c.item, 0.0) + c.value
        return dict(sorted(totals.items(), key=lambda pair: (-pair[1], pair[0])))


@runtime_checkable
class TakenApart(Protocol):
    """A scorer that takes its own scores apart."""

    def decomposition(self, user: int, item: int, seen: sp.csr_matrix) -> Decomposition:
        """See `decompose`."""


def decompose(scorer: Scorer, user: int, item: int, seen: sp.csr_matrix) -> Decomposition:
    """Take `scorer.scores(user)[item]` apart; `seen` holds the training history, users x items.

    - served: popularity where the history is empty, else the scorer's own.
    - `item_item`: `history[h] * weights[h, item]` for each h; popularity where the history is empty. Exact.
    - `dot` with `terms`: each summand of the user's vector times the item's vector. Exact; `rest["user"]` is the
      user's own vector and what the people followed send.
    - `dot` without: the vector that all users share is popularity; else the user's vector is projected on those of
      the history with weights of at least 0 (Lawson and Hanson's non-negative least squares, 1974). An estimate.
    - `ranked`: shares of the trees' score by evidence; see `RankedScorer.decomposition`.
    - `sum`: the parts' own, times their weight, divided by the deviation of the user's scores where it normalises:
      a factor that is taken as it is.
    """
    if isinstance(scorer, ServedScorer):
        if scorer.strangers[user]:
            value = float(scorer.popularity[item])
            return Decomposition(value, (), {POPULARITY: value})
        return decompose(scorer.scorer, user, item, seen)
    if isinstance(scorer, TakenApart):
        return scorer.decomposition(user, item, seen)
    if isinstance(scorer, ItemItemScorer):
        return _item_item(scorer, user, item)
    return _sum(scorer, user, item, seen) if isinstance(scorer, SumScorer) else _dot(scorer, user, item, seen)


def _sum(scorer: SumScorer, user: int, item: int, seen: sp.csr_matrix) -> Decomposition:
    if scorer.normalise == "rank":  # places do not add up over the history
        whole = float(scorer.scores(torch.tensor([user]))[0, item])
        return Decomposition(whole, (), {"ranks": whole})
    rest: dict[str, float] = {}
    ways: dict[tuple[int, str, bool], float] = {}
    score = 0.0
    for part, weight in zip(scorer.parts, scorer.weights, strict=True):
        if not weight:
            continue
        factor = weight
        if scorer.normalise:
            factor /= float(deviations(part.scores(torch.tensor([user])))[0])
        inner = decompose(part, user, item, seen)
        score += factor * inner.score
        for name, value in inner.rest.items():
            rest[name] = rest.get(name, 0.0) + factor * value
        for c in inner.contributions:
            key = (c.item, c.by, c.exact)
            ways[key] = ways.get(key, 0.0) + factor * c.value
    found = tuple(Contribution(h, by, value, exact) for (h, by, exact), value in ways.items())
    return Decomposition(score, found, rest)


def _item_item(scorer: ItemItemScorer, user: int, item: int) -> Decomposition:
    row = scorer.history[user]
    if not row.nnz:
        value = float(scorer.popularity[item])
        return Decomposition(value, (), {"popularity": value})
    if isinstance(scorer.weights, torch.Tensor):
        column = scorer.weights[torch.from_numpy(row.indices.astype(np.int64)), item].numpy()
    else:
        column = scorer.weights[row.indices, item].toarray().ravel()
    values = row.data.astype(np.float64) * column
    found = (Contribution(int(h), "interactions", float(v), True) for h, v in zip(row.indices, values, strict=True))
    return Decomposition(float(values.sum()), tuple(found))


def _dot(scorer: Scorer, user: int, item: int, seen: sp.csr_matrix) -> Decomposition:
    assert isinstance(scorer, DotScorer)
    target = scorer.item_vectors[item].double().numpy()
    vector = scorer.user_vectors[user].double().numpy()
    score = float(vector @ target)
    history = seen[user].indices
    if bool((scorer.user_vectors == scorer.user_vectors[:1]).all()):
        return Decomposition(score, (), {"popularity": score})
    if not len(history):
        return Decomposition(score, (), {"user": score})
    if scorer.terms is not None:
        found = _of_terms(scorer.terms, user, target, seen)
    else:
        vectors = scorer.item_vectors[torch.from_numpy(history.astype(np.int64))].double().numpy()
        weights, _ = nnls(vectors.T, vector)
        values = weights * (vectors @ target)
        found = [Contribution(int(h), "interactions", float(v), False) for h, v in zip(history, values, strict=True)]
    return Decomposition(score, tuple(found), {"user": score - sum(c.value for c in found)})


def _of_terms(terms: UserTerms, user: int, target: np.ndarray, seen: sp.csr_matrix) -> list[Contribution]:
    history = seen[user].indices
    rows = torch.from_numpy(history.astype(np.int64))
    degrees = np.asarray(seen.astype(bool).sum(axis=0)).ravel()[history].astype(np.float64)
    scale = 1.0 if terms.scale is None else float(terms.scale[user])
    weights = scale * (len(history) * degrees) ** -terms.exponent
    ways = [("interactions", weights * (terms.messages[rows].double().numpy() @ target))]
    for number, (name, channel) in enumerate(terms.channels.items()):
        gate = float(terms.gates[user, number]) if terms.gates is not None else 0.0
        ways.append((name, scale * gate / len(history) * (channel[rows].double().numpy() @ target)))
    return [
        Contribution(int(h), name, float(value), True)
        for name, values in ways
        for h, value in zip(history, values, strict=True)
    ]
