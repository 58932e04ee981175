"""The result of a comparison of runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from modalweave.results.metric import Metric, Metrics
from modalweave.results.record import OPTIONAL, Record


@dataclass(frozen=True)
class ComparedRun(Record):
    """One of the runs, on the users that all share."""

    name: str
    workspace: str
    model: str
    bundle: str
    """Hash of the measured bundle."""
    metrics: Metrics


@dataclass(frozen=True)
class Difference(Record):
    """A run against the first one, paired over users: p-values Holm-corrected over all rows of their table."""

    run: str
    metric: str
    mean: float
    reference: float
    """The mean of the first run."""
    difference: float
    ci95: tuple[float, float]
    relative: float | None
    """Share of the first run's mean; None where that is 0."""
    p_bootstrap: float
    p_wilcoxon: float
    p_t: float
    verdict: str
    """`better` or `worse` where all three tests stay below .05, else `unclear`."""
    users: int
    group: str | None = field(default=None, metadata=OPTIONAL)
    """Of a slice: what it is a slice by."""
    slice: str | None = field(default=None, metadata=OPTIONAL)

    @classmethod
    def of(cls, run: str, metric: str, row: Mapping[str, Any], **where: str) -> Self:
        """From a row of `evaluation.effects`."""
        return cls(
            run=run,
            metric=metric,
            mean=row["mean"],
            reference=row["baseline"],
            difference=row["difference"],
            ci95=(row["ci95"][0], row["ci95"][1]),
            relative=row["relative"],
            p_bootstrap=row["p_bootstrap"],
            p_wilcoxon=row["p_wilcoxon"],
            p_t=row["p_seeds"],
            verdict=row["verdict"],
            users=row["users"],
            **where,
        )


@dataclass(frozen=True)
class ListedItem(Record):
    """An item of a list."""

    id: str
    title: str | None


@dataclass(frozen=True)
class ChangedUser(Record):
    """A user whose list is another one than the first run's."""

    user: str
    rbo: float
    jaccard: float
    recall: tuple[float, float]
    """Of the first run's list and of this one's."""
    gone: tuple[ListedItem, ...]
    """Only in the first run's list, best first."""
    new: tuple[ListedItem, ...]
    """Only in this run's list, best first."""


@dataclass(frozen=True)
class ListChanges(Record):
    """How far a run's lists are from those of the first run."""

    run: str
    rbo: Metric
    """Rank-biased overlap (p = .9), mean over users: 1 the same lists, 0 nothing in common."""
    jaccard: Metric
    """Items in both lists over items in either, mean over users."""
    gained: int
    """Users with a higher recall than under the first run."""
    lost: int
    same: int
    users: tuple[ChangedUser, ...]
    """Those whose lists changed most, the most changed first."""


@dataclass(frozen=True, kw_only=True, repr=False)
class CompareResult(Record):
    """Runs on one split; the first is what the others are held against."""

    split: str
    k: tuple[int, ...]
    users: int
    positives: int
    """Held-out interactions."""
    runs: tuple[ComparedRun, ...]
    differences: tuple[Difference, ...]
    slices: tuple[Difference, ...]
    """Recall at the greatest depth within groups of users and of items; groups under 20 users are left out."""
    lists: tuple[ListChanges, ...]
    notes: tuple[str, ...]
    seed: int
    page: str
    trec: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)
    """Files in TREC's format."""

    def __repr__(self) -> str:
        return f"CompareResult({', '.join(run.name for run in self.runs)} on {self.split}, {self.users} users)"
