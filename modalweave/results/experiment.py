"""Results of `ab design`, `ab assign` and `ab analyse`."""

from dataclasses import dataclass

from evaluation.experiments.analysis import ExperimentAnalysis
from evaluation.experiments.simulated_plan import MetricPlan
from modalweave.results.record import Record


@dataclass(frozen=True, kw_only=True)
class ExperimentPlan(Record):
    """What an experiment takes, by metric."""

    name: str
    variants: dict[str, float]
    """Variant -> share."""
    alpha: float
    """Chance of a false claim, over all metrics and variants together."""
    power: float
    claims: int
    """Metrics times variants that `alpha` is shared by."""
    metrics: dict[str, MetricPlan]
    users: int
    """What the most demanding metric takes."""


@dataclass(frozen=True, kw_only=True)
class Assignment(Record):
    """How many users went where."""

    name: str
    users: int
    variants: dict[str, int]
    left_out: dict[str, int]
    """Reason -> users."""
    out: str


@dataclass(frozen=True, kw_only=True, repr=False)
class ExperimentResult(Record):
    """What an experiment says."""

    events: str
    """The file, or the database's address without credentials."""
    findings: tuple[str, ...]
    """In sentences."""
    analysis: ExperimentAnalysis
    page: str

    def __repr__(self) -> str:
        return f"ExperimentResult({self.analysis.name}, {', '.join(self.analysis.metrics)})"
