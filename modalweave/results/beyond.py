"""What lists are like beyond accuracy, and for whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from modalweave.results.metric import Metric, Metrics, metrics_of
from modalweave.results.record import Record


@dataclass(frozen=True)
class PopularityBias(Record):
    """How popular the lists of a group of users are beside its histories."""

    users: int
    """With a history."""
    history: float
    """Mean popularity of what they have, as a share of all users."""
    lists: float
    """The same of what they are recommended."""
    lift: Metric
    """lists / history - 1."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From `evaluation.groups.popularity_bias`."""
        return cls(row["users"], row["history"], row["lists"], Metric.of(row["lift"]))


@dataclass(frozen=True)
class Group(Record):
    """Quality for a group of users."""

    users: int
    metrics: Metrics


@dataclass(frozen=True)
class Gap(Record):
    """Between the groups with the highest and the lowest mean."""

    best: str
    worst: str
    difference: float
    ci95: tuple[float, float]
    """Welch's, of these two."""
    p: float
    """That no groups differ (Kruskal-Wallis), Holm-corrected over all groupings and metrics."""


@dataclass(frozen=True)
class Fairness(Record):
    """Quality by groups of users that one of their traits tells apart."""

    groups: Mapping[str, Group]
    gaps: Mapping[str, Gap]
    """Metric -> its gap; empty without two groups of at least 20 users."""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """From a grouping of `evaluation.groups.fairness`."""
        groups = {n: Group(row["users"], metrics_of(row["metrics"])) for n, row in found["groups"].items()}
        return cls(groups, {m: Gap(**{**gap, "ci95": tuple(gap["ci95"])}) for m, gap in found["gaps"].items()})


@dataclass(frozen=True)
class BeyondAccuracy(Record):
    """What the evaluated users' lists are like at the greatest depth."""

    k: int
    metrics: Metrics
    """`coverage gini novelty serendipity new_items`, `diversity_MODALITY` and `miscalibration_ATTRIBUTE`, each with
    `@K`."""
    baselines: Mapping[str, Metrics]
    """Name -> the same."""
    popularity_bias: Mapping[str, Mapping[str, PopularityBias]]
    """Grouping -> group of users; `all` -> `all` is everybody."""
    fairness: Mapping[str, Fairness]
    """Grouping -> recall and NDCG of its groups: `activity`, and each attribute of users that tells groups apart."""
