"""The results of training and of a measurement."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from evaluation.headline import percent, verdict
from modalweave.results.beyond import BeyondAccuracy
from modalweave.results.classification import Classification
from modalweave.results.metric import Metrics
from modalweave.results.record import OPTIONAL, JsonObject, Record


@dataclass(frozen=True)
class Slice(Record):
    """The metrics of a group of users or items."""

    users: int
    positives: int
    """Held-out interactions in it."""
    metrics: Metrics


@dataclass(frozen=True)
class NewItems(Record):
    """How items with media and without a training interaction fare."""

    items: int
    share_of_lists: float
    """Of the places in the evaluated users' lists, at the greatest depth."""
    users: int
    """Who has a held-out interaction with one."""
    positives: int
    """Held-out interactions with them."""
    among_new: Metrics
    """`recall@20` and the like where new items alone are ranked, by what their media resemble."""
    random: Mapping[str, float]
    """The same for a list drawn at random."""


@dataclass(frozen=True, repr=False)
class Measurement(Record):
    """What training and evaluation have in common."""

    split: str
    k: tuple[int, ...]
    metrics: Metrics
    slices: Mapping[str, Mapping[str, Slice]]
    """Group -> slice, e.g. `user_activity` -> `1-5`."""
    seconds: Mapping[str, float]
    """Stage -> seconds."""
    seed: int
    device: str
    new_items: NewItems | None = field(default=None, kw_only=True, metadata=OPTIONAL)
    """None where every item with media has a training interaction."""
    note: str | None = field(default=None, kw_only=True, metadata=OPTIONAL)
    """What has to be said beside the numbers, if anything has."""

    def __repr__(self) -> str:
        depth = f"@{max(self.k)}"
        shown = {name: value for name, value in self.metrics.items() if name.endswith(depth) or "@" not in name}
        lines = [f"  {name:<14}{value!r}" for name, value in shown.items()]
        noted = [f"  {self.note}"] if self.note else []
        return "\n".join([f"{type(self).__name__} on {self.split}, mean [95 % interval]", *lines, *noted])


@dataclass(frozen=True, repr=False)
class TrainResult(Measurement):
    """What training left, measured on validation.

    `result.metrics["recall@20"].mean`, `.low` and `.high`; `result.chosen` is what validation decided.
    """

    peak_memory_mb: int
    approximations: tuple[str, ...]
    """Sentences where size decided for an approximate form."""
    graph: str
    """Hash of the graph."""
    chosen: JsonObject
    """A `gnn:` section that gives the same model without searching; empty where nothing was to choose."""
    bundle: str
    """Hash of the bundle."""


@dataclass(frozen=True)
class MeasuredModel(Record):
    """What stands in for a model that nothing is left to measure on."""

    split: str | None
    """`test`, `valid` where there is no test, None where nothing was held out."""
    bundle: str
    """Hash of the model that was measured."""
    metrics: Metrics


@dataclass(frozen=True, repr=False)
class RefitResult(Record):
    """The model to serve: the settings that validation chose, fitted on every interaction.

    `result.measured.metrics` is what is known of its quality: the metrics of the model that was measured in its place.
    """

    fitted_on: tuple[str, ...]
    """Splits."""
    measured: MeasuredModel
    settings: JsonObject
    """The `gnn:` section that was fitted."""
    seconds: Mapping[str, float]
    seed: int
    device: str
    approximations: tuple[str, ...]
    graph: str
    bundle: str
    """Hash of the model to serve."""

    def __repr__(self) -> str:
        return f"RefitResult({self.bundle[:12]}, fitted on {', '.join(self.fitted_on)})"


@dataclass(frozen=True)
class Comparison(Record):
    """The model against a baseline on the same users, in one metric; p-values Holm-corrected over all comparisons."""

    baseline: str
    metric: str
    difference: float
    ci95: tuple[float, float]
    relative: float | None
    """As a share of the baseline's mean; None where that is 0."""
    relative_ci95: tuple[float, float] | None
    p_bootstrap: float
    p_wilcoxon: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From a row of `evaluation.significance.compare`."""
        ends: dict[str, Any] = {name: row[name] and tuple(row[name]) for name in ("ci95", "relative_ci95")}
        return cls(**{**row, **ends})

    @property
    def lead(self) -> str:
        """`+8%`, with `?` where it may be chance; empty over a baseline of 0."""
        if self.relative is None:
            return ""
        return f"{'+' * (self.relative > 0)}{percent(self.relative)}%{'?' * (verdict(vars(self)) == 'unclear')}"


@dataclass(frozen=True, repr=False)
class EvaluateResult(Measurement):
    """The bundle on held-out interactions, beside the baselines.

    `result.headline` says how it stands to them, `result.metrics["recall@20"].mean`, `.low` and `.high`.
    """

    graph: str
    bundle: str
    baselines: Mapping[str, Metrics]
    """Name -> the same metrics."""
    comparisons: tuple[Comparison, ...] = ()
    """Every metric, tested against each baseline."""
    headline: str = ""
    """What the comparisons come to, the worst as well as the best; empty without baselines."""
    beyond_accuracy: BeyondAccuracy | None = field(default=None, metadata=OPTIONAL)
    """What the lists are like, and for whom."""
    classification: Classification | None = field(default=None, metadata=OPTIONAL)
    """None on validation, which the threshold is learned from, and where there is none."""
    evidence: Mapping[str, Mapping[str, float]] | None = field(default=None, metadata=OPTIONAL)
    """Of a model with a second stage: `all` and each user group by training interactions -> kind of evidence -> its
    mean share of what orders a user's list."""
