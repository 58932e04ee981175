"""Beyond accuracy: how new, how surprising and how evenly spread what is recommended is; ids in, numbers out.

The definitions are those that Castells, Hurley and Vargas collect (Recommender Systems Handbook, 3rd ed. 2022, chapter
"Novelty and Diversity in Recommender Systems"), unless a function names another source.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.stats
from jaxtyping import Bool, Float, Int

from evaluation.bootstrap import FEWEST
from evaluation.metrics import chunks, evaluated_users, hit_matrix

_GROUPS = 100
"""Groups of users that the jackknife leaves out, one at a time."""


@dataclass(frozen=True)
class Lists:
    """What the evaluated users are recommended, and what was known of each of them."""

    ranked: Int[np.ndarray, "evaluated depth"]
    """Best first; -1 pads."""
    history: sp.csr_matrix
    """Evaluated x items: their training interactions."""
    positives: sp.csr_matrix
    """Evaluated x items: what was held out."""
    counts: Int[np.ndarray, "items"]
    """Of each item, the users (of all) that have it in train."""
    users: int
    """All users."""

    @classmethod
    def of(cls, ranked: Int[np.ndarray, "users depth"], positives: sp.csr_matrix, train: sp.csr_matrix) -> "Lists":
        """Of the users with a positive, as `user_metrics` takes them."""
        rows = evaluated_users(positives)
        counts = np.bincount(train.indices, minlength=train.shape[1])
        return cls(ranked[rows], train[rows], positives[rows], counts, train.shape[0])

    @cached_property
    def lengths(self) -> Int[np.ndarray, "evaluated"]:
        """Items listed."""
        return (self.ranked >= 0).sum(axis=1)

    @cached_property
    def matrix(self) -> sp.csr_matrix:
        """Evaluated x items, 1 where listed."""
        listed = self.ranked >= 0
        ends = np.concatenate([[0], np.cumsum(self.lengths)])
        shape = (len(self.ranked), len(self.counts))
        return sp.csr_matrix((np.ones(ends[-1], dtype=np.float32), self.ranked[listed], ends), shape=shape)

    def mean(self, of_item: Float[np.ndarray, "items"]) -> Float[np.ndarray, "evaluated"]:
        """Each list's mean of a number of its items."""
        return (self.matrix @ of_item) / np.maximum(self.lengths, 1)


def novelty(lists: Lists) -> Float[np.ndarray, "evaluated"]:
    """Mean self-information of what is listed, in bits: -log2 of the share of users who have the item in train.

    An item that nobody has counts as one that a single user has.
    """
    return lists.mean(-np.log2(np.maximum(lists.counts, 1) / max(lists.users, 1)))


def serendipity(lists: Lists) -> Float[np.ndarray, "evaluated"]:
    """Share of a list's places that hold a held-out item which a list of the most popular items, as long and without
    what the user has, would not have shown (Ge, Delgado-Battenfeld and Jannach, RecSys 2010)."""
    items, depth = len(lists.counts), lists.ranked.shape[1]
    place = np.empty(items, dtype=np.int64)
    place[np.argsort(-lists.counts, kind="stable")] = np.arange(items)
    found = np.zeros(len(lists.ranked))
    for chunk in chunks(len(lists.ranked), depth):
        history = lists.history[chunk]
        rows, columns = np.nonzero(hit_matrix(lists.ranked[chunk], lists.positives[chunk]))
        known = np.repeat(np.arange(history.shape[0]), np.diff(history.indptr)) * items + place[history.indices]
        known.sort()
        hit = place[lists.ranked[chunk][rows, columns]]
        before = np.searchsorted(known, rows * items + hit) - history.indptr[rows]
        surprising = hit - before >= depth
        found[chunk] = np.bincount(rows, weights=surprising, minlength=history.shape[0])
    return found / np.maximum(lists.lengths, 1)


def share_of(lists: Lists, items: Bool[np.ndarray, "items"]) -> Float[np.ndarray, "evaluated"]:
    """Share of each list's places that these items hold."""
    return lists.mean(items.astype(np.float64))


def concentration(lists: Lists) -> dict[str, dict[str, Any]]:
    """Of all lists together: `coverage`, the share of the catalogue that is in any of them, and `gini`, how unevenly
    the places are spread over the catalogue (0 alike over all items, 1 all on one).

    `{"mean": .., "ci95": [..]}` each. Drawing users again would repeat some and so cover less: the intervals are from
    the jackknife that leaves out one of 100 groups of users (Efron and Tibshirani 1993, chapter 11), cut to [0, 1].
    """
    return {"coverage": _jackknifed(lists, coverage), "gini": _jackknifed(lists, gini)}


def coverage(times: Int[np.ndarray, "items"]) -> float:
    """Share of items that are listed at all."""
    return float((times > 0).mean())


def gini(times: Int[np.ndarray, "items"]) -> float:
    """Gini coefficient of how often each item is listed."""
    items, total = len(times), int(times.sum())
    if items < 2 or not total:
        return 0.0
    alike = np.bincount(times)
    before = np.cumsum(alike) - alike
    return float((np.arange(len(alike)) * alike * (2.0 * before + alike - items)).sum() / ((items - 1.0) * total))


def _jackknifed(lists: Lists, statistic: Callable[[Int[np.ndarray, "items"]], float]) -> dict[str, Any]:
    times = _times(lists.ranked, len(lists.counts))
    value, users = statistic(times), len(lists.ranked)
    if users < FEWEST:
        return {"mean": value}
    groups = min(_GROUPS, users)
    left = [statistic(times - _times(lists.ranked[group::groups], len(times))) for group in range(groups)]
    error = float(np.sqrt((groups - 1) * np.var(left)))
    half = float(scipy.stats.t.ppf(0.975, groups - 1)) * error
    return {"mean": value, "ci95": [max(value - half, 0.0), min(value + half, 1.0)]}


def _times(ranked: Int[np.ndarray, "users depth"], items: int) -> Int[np.ndarray, "items"]:
    return np.bincount(ranked[ranked >= 0], minlength=items)
