"""Link prediction as classification."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from modalweave.results.metric import Metric, Metrics, metrics_of
from modalweave.results.record import Record


@dataclass(frozen=True)
class CalibrationPoint(Record):
    """Pairs of one range of probabilities."""

    predicted: float
    """Their mean probability, learned on validation."""
    observed: Metric
    """The share of them that are links."""
    pairs: int


@dataclass(frozen=True)
class Classification(Record):
    """Every test pair of a user and an item not known in train: is there a link? The threshold is validation's."""

    threshold: float
    """Deviations above the user's mean score."""
    users: int
    pairs: int
    links: int
    never: float
    """The accuracy of predicting no link at all."""
    metrics: Metrics
    """`accuracy precision recall f1 auc average_precision`."""
    curve: tuple[CalibrationPoint, ...]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """From `evaluation.classification.classified`."""
        points = (CalibrationPoint(p["predicted"], Metric.of(p["observed"]), p["pairs"]) for p in found["curve"])
        return cls(**{**found, "metrics": metrics_of(found["metrics"]), "curve": tuple(points)})
