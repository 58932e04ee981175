"""A number with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from pydantic import JsonValue

from modalweave.results.record import Record


@dataclass(frozen=True)
class Metric(Record):
    """A mean over users and its 95 % interval.

    >>> Metric(0.25, 0.2, 0.3)
    0.2500 [0.2000, 0.3000]
    """

    mean: float
    low: float | None = None
    high: float | None = None
    """Both None where there are too few users for an interval."""

    @classmethod
    def of(cls, value: Mapping[str, JsonValue]) -> Self:
        """From `{"mean": .., "ci95": [low, high]}`; the interval may be missing."""
        interval, mean = value.get("ci95"), value["mean"]
        assert isinstance(mean, float | int)
        if interval is None:
            return cls(float(mean))
        assert isinstance(interval, list)
        low, high = (float(str(end)) for end in interval)
        return cls(float(mean), low, high)

    def to_json(self) -> dict[str, JsonValue]:
        """`{"mean": .., "ci95": [low, high]}`, without an interval the mean alone."""
        return {"mean": self.mean} if self.low is None else {"mean": self.mean, "ci95": [self.low, self.high]}

    def __repr__(self) -> str:
        return f"{self.mean:.4f}" if self.low is None else f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


Metrics = Mapping[str, Metric]
"""`recall@20` and the like -> its value."""


def metrics_of(summary: Mapping[str, Mapping[str, JsonValue]]) -> dict[str, Metric]:
    """What `evaluation.bootstrap.summarise` gives, typed."""
    return {name: Metric.of(value) for name, value in summary.items()}
