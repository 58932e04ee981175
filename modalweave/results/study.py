"""Results of a study and of a search."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from pydantic import JsonValue

from modalweave.results.metric import Metric
from modalweave.results.record import OPTIONAL, JsonObject, Record


@dataclass(frozen=True)
class SeededMetric(Record):
    """A mean over users and training seeds."""

    mean: float
    low: float
    high: float
    deviation: float | None
    """Of the seeds' means; None with one seed."""

    @classmethod
    def of(cls, value: JsonObject) -> Self:
        """From `evaluation.effects.seeded_mean`."""
        metric, deviation = Metric.of(value), value["deviation"]
        assert metric.low is not None and metric.high is not None
        return cls(metric.mean, metric.low, metric.high, None if deviation is None else float(str(deviation)))

    def to_json(self) -> dict[str, JsonValue]:
        """`{"mean": .., "ci95": [low, high], "deviation": ..}`."""
        return {"mean": self.mean, "ci95": [self.low, self.high], "deviation": self.deviation}


@dataclass(frozen=True, repr=False)
class StudyVariant(Record):
    """One variant of a study, over its seeds."""

    name: str
    label: str
    gnn: JsonObject
    metrics: Mapping[str, SeededMetric]
    seconds: float
    memory_mb: int
    device_mb: int


@dataclass(frozen=True, kw_only=True, repr=False)
class StudyResult(Record):
    """Variants side by side; `findings` says in words what the tests confirm."""

    name: str
    split: str
    metric: str
    seeds: tuple[int, ...]
    users: int
    device: str
    graph: str
    command: str
    findings: tuple[str, ...]
    variants: tuple[StudyVariant, ...]
    effects: tuple[JsonObject, ...]
    """A row for each question: the difference, its interval, three tests and the verdict."""
    slices: tuple[JsonObject, ...]
    slice_questions: tuple[JsonObject, ...]
    knocked_out: tuple[JsonObject, ...]
    carried: Mapping[str, float]
    gates: Mapping[str, Mapping[str, float]]
    agreement: tuple[JsonObject, ...]
    markdown: str | None = field(default=None, metadata=OPTIONAL)
    workspace: str | None = field(default=None, metadata=OPTIONAL)

    def __repr__(self) -> str:
        rows = (f"  {v.name:<16}{self.metric} {v.metrics[self.metric].mean:.4f}" for v in self.variants)
        return "\n".join([f"StudyResult of {self.name} on {self.split}, seeds {list(self.seeds)}", *rows])


@dataclass(frozen=True)
class Trial(Record):
    """One setting that a search tried."""

    number: int
    quality: float
    settings: JsonObject
    seconds: float


@dataclass(frozen=True, repr=False)
class TuneResult(Record):
    """A search on validation; `config` is the file with the best settings."""

    best: Trial
    trials: tuple[Trial, ...]
    config: str

    def __repr__(self) -> str:
        return f"TuneResult(best {self.best.quality:.4f} of {len(self.trials)} trials, {self.config})"


@dataclass(frozen=True)
class ListedVariant(Record):
    """A variant that a study would run."""

    name: str
    label: str
    gnn: JsonObject


@dataclass(frozen=True)
class VariantList(Record):
    """The variants of a study."""

    variants: tuple[ListedVariant, ...]
