"""Link prediction as classification: over all pairs of a user and an item that is not known, is there a link or not?

A model's scores compare within a user only, so they are first taken over the user's mean and deviation. What decides,
and what turns a score into a probability, is learned on validation pairs; test pairs are only counted. No pair is
drawn: links are as rare as they are, so accuracy says little beside that of never predicting one.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from scipy.optimize import isotonic_regression

from evaluation.bootstrap import FEWEST, group_summary, resampled_means
from evaluation.errors import EvaluationError

Block = tuple[Float[np.ndarray, "block items"], sp.csr_matrix]
"""Scores of some users, -inf where an item is no candidate, and their links (same shape, binary)."""

_LOW, _STEP, _BINS = -8.0, 0.01, 4000
"""Deviations from the mean: scores are told apart to a hundredth, from 8 below to 32 above."""
_TENTHS = 10
"""Points of the calibration curve: each holds a tenth of validation's links."""


@dataclass(frozen=True)
class Rule:
    """What validation taught."""

    cut: int
    """Bins from this one on are links: the highest F1 over all validation pairs."""
    probability: Float[np.ndarray, "bins"]
    """Of a link, by isotonic regression on validation pairs (Zadrozny and Elkan, KDD 2002)."""
    tenth: Int[np.ndarray, "bins"]
    """Point of the calibration curve."""

    @property
    def threshold(self) -> float:
        """In deviations above the user's mean."""
        return _LOW + self.cut * _STEP


def learned_rule(validation: Iterable[Block]) -> Rule:
    """The threshold and the probabilities. Raises `EvaluationError` without a link to learn from."""
    every, linked = np.zeros(_BINS), np.zeros(_BINS)
    for scores, links in validation:
        bins, candidate = _binned(scores)
        every += np.bincount(bins[candidate], minlength=_BINS)
        linked += np.bincount(bins[_linked(links, candidate)], minlength=_BINS)
    if not linked.any():
        raise EvaluationError("validation holds 0 links to learn a threshold from; hold some out")
    found, said = (np.cumsum(counts[::-1])[::-1] for counts in (linked, every))
    seen = np.flatnonzero(every)
    fitted = isotonic_regression(linked[seen] / every[seen], weights=every[seen]).x
    before = np.cumsum(linked) - linked
    tenth = np.minimum((_TENTHS * before / linked.sum()).astype(np.int64), _TENTHS - 1)
    return Rule(int(np.argmax(2 * found / (said + linked.sum()))), np.interp(np.arange(_BINS), seen, fitted), tenth)


def classified(test: Iterable[Block], rule: Rule, *, seed: int, resamples: int = 200) -> dict[str, Any]:
    """Count test pairs by the rule; users without a link are left out.

    Returns:
        `{"threshold", "users", "pairs", "links", "never", "metrics", "curve"}`. Metrics, with bootstrap intervals over
        users: `accuracy precision recall f1` of all pairs together; `auc` and `average_precision`, means over users of
        the area under the user's ROC curve and of the precision at each link. `never`: the accuracy of predicting none.
        `curve`, lowest first: `{"predicted", "observed", "pairs"}`, mean probability and share of links.

    Raises:
        EvaluationError: no user has a link.
    """
    tables, areas, predicted = [np.zeros((0, 4 + 2 * _TENTHS))], [np.zeros((0, 2))], np.zeros(_TENTHS)
    for scores, links in test:
        bins, candidate = _binned(scores)
        linked = _linked(links, candidate)
        rows = np.flatnonzero(linked.any(axis=1))
        areas += [_areas(scores[row, candidate[row]], linked[row, candidate[row]]) for row in rows]
        bins, candidate, linked = bins[rows], candidate[rows], linked[rows]
        tables.append(_counted(bins, candidate, linked, rule))
        predicted += np.bincount(rule.tenth[bins[candidate]], rule.probability[bins[candidate]], minlength=_TENTHS)
    table, ranks = np.concatenate(tables), np.concatenate(areas)
    if not len(table):
        raise EvaluationError("no user has a link to classify; hold some out")
    by_user = group_summary({"auc": ranks[:, 0], "average_precision": ranks[:, 1]}, seed=seed, resamples=resamples)
    pooled = _pooled(table, _decisions, seed, resamples)
    observed = _pooled(table, _observed, seed, resamples)
    _, _, found, pairs = table.sum(axis=0)[:4]
    inside = table[:, 4 : 4 + _TENTHS].sum(axis=0)
    return {
        "threshold": round(rule.threshold, 2),
        "users": len(table),
        "pairs": int(pairs),
        "links": int(found),
        "never": float(1 - found / pairs),
        "metrics": dict(zip(("accuracy", "precision", "recall", "f1"), pooled, strict=True)) | by_user,
        "curve": [
            {"predicted": float(predicted[n] / inside[n]), "observed": observed[n], "pairs": int(inside[n])}
            for n in np.flatnonzero(inside)
        ],
    }


def _binned(
    scores: Float[np.ndarray, "block items"],
) -> tuple[Int[np.ndarray, "block items"], Bool[np.ndarray, "block items"]]:
    """The bin of every score over its user's mean and deviation, and which items are candidates."""
    candidate = scores > -np.inf
    told = candidate & (scores > np.finfo(np.float32).min)  # what has no score at all lies below all others
    values = np.where(told, scores, 0.0).astype(np.float64)
    number = np.maximum(told.sum(axis=1, keepdims=True), 1)
    mean = values.sum(axis=1, keepdims=True) / number
    away = np.where(told, values - mean, 0.0)
    deviation = np.maximum(np.sqrt(np.square(away).sum(axis=1, keepdims=True) / number), 1e-12)
    bins = np.clip((away / deviation - _LOW) / _STEP, 0, _BINS - 1).astype(np.int64)
    return np.where(told, bins, 0), candidate


def _linked(links: sp.csr_matrix, candidate: Bool[np.ndarray, "block items"]) -> Bool[np.ndarray, "block items"]:
    found = np.zeros(candidate.shape, dtype=bool)
    rows = np.repeat(np.arange(len(candidate)), np.diff(links.indptr))
    found[rows, links.indices] = True
    return found & candidate


def _counted(
    bins: Int[np.ndarray, "users items"],
    candidate: Bool[np.ndarray, "users items"],
    linked: Bool[np.ndarray, "users items"],
    rule: Rule,
) -> Float[np.ndarray, "users columns"]:
    """Of each user: hits, pairs said to be links, links, pairs; then pairs and links by point of the curve."""
    said = candidate & (bins >= rule.cut)
    sums = [part.sum(axis=1) for part in (said & linked, said, linked, candidate)]
    users = len(bins)
    place = np.arange(users)[:, None] * _TENTHS + rule.tenth[bins]
    curve = [
        np.bincount(place[part], minlength=users * _TENTHS).reshape(users, _TENTHS) for part in (candidate, linked)
    ]
    return np.concatenate([np.stack(sums, axis=1), *curve], axis=1).astype(np.float64)


def _areas(scores: Float[np.ndarray, "candidates"], linked: Bool[np.ndarray, "candidates"]) -> Float[np.ndarray, "1 2"]:
    """Area under the ROC curve (equal scores count half) and average precision, from the links' ranks alone."""
    ordered, own = np.sort(scores), np.sort(scores[linked])
    links, others = len(own), len(scores) - len(own)
    less, upto = np.searchsorted(ordered, own, "left"), np.searchsorted(ordered, own, "right")
    mid_ranks = (less + upto + 1) / 2
    auc = (mid_ranks.sum() - links * (links + 1) / 2) / (links * others) if others else 1.0
    at_least = links - np.searchsorted(own, own, "left")
    return np.array([[auc, (at_least / (len(ordered) - less)).mean()]])


def _decisions(table: Float[np.ndarray, "draws columns"]) -> Float[np.ndarray, "draws 4"]:
    """Accuracy, precision, recall and F1 of summed (or averaged) counts."""
    hits, said, links, pairs = table[:, :4].T
    return np.stack(
        [(pairs - said - links + 2 * hits) / pairs, _share(hits, said), hits / links, 2 * hits / (said + links)], axis=1
    )


def _observed(table: Float[np.ndarray, "draws columns"]) -> Float[np.ndarray, "draws tenths"]:
    """Share of links at each point of the curve."""
    return _share(table[:, 4 + _TENTHS :], table[:, 4 : 4 + _TENTHS])


def _share(part: Float[np.ndarray, "..."], whole: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _pooled(
    table: Float[np.ndarray, "users columns"],
    ratios: Callable[[Float[np.ndarray, "draws columns"]], Float[np.ndarray, "draws ratios"]],
    seed: int,
    resamples: int,
) -> list[dict[str, Any]]:
    """Ratios of sums over users, each with its bootstrap interval."""
    found: list[dict[str, Any]] = [{"mean": float(value)} for value in ratios(table.sum(axis=0, keepdims=True))[0]]
    if len(table) >= FEWEST:
        drawn = ratios(np.concatenate(list(resampled_means(table, seed=seed, resamples=resamples))))
        for ratio, ends in zip(found, np.quantile(drawn, [0.025, 0.975], axis=0).T.tolist(), strict=True):
            ratio["ci95"] = ends
    return found
