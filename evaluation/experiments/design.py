"""What an experiment is: its variants, who may be in it, its metrics, and the columns of its events."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field, PositiveFloat, field_validator, model_validator


class Metric(BaseModel, extra="forbid"):
    """One number for each user, out of the events after the first exposure."""

    kind: Literal["rate", "mean", "ratio"] = "mean"
    """`rate`: share of users with the event; `mean`: events (or their values) a user; `ratio`: all of `event` over all
    of `per`, e.g. clicks over impressions."""

    event: str
    """Which events are counted."""

    per: str | None = None
    """`ratio`: the events below the line."""

    value: bool = False
    """Add up the values of `event` instead of counting it, e.g. revenue."""

    better: Literal["higher", "lower"] = "higher"
    """Which way is good."""

    guardrail: float | None = Field(None, gt=0, lt=1)
    """Not to be won but not to be lost: the greatest loss that is let pass, as a share of control, e.g. 0.02."""

    winsorise: float | None = Field(0.999, gt=0.5, lt=1)
    """`mean` of values: users above this quantile of all users count as it; null: as they are."""

    @model_validator(mode="after")
    def _fits(self) -> "Metric":
        if (self.kind == "ratio") != (self.per is not None):
            raise ValueError("a ratio, and only a ratio, has events below the line: {kind: ratio, per: impression}")
        if self.kind == "rate" and self.value:
            raise ValueError("a rate counts users, not values; use kind mean")
        return self


class Columns(BaseModel, extra="forbid"):
    """What the columns of the events are called."""

    user: str = "user_id"
    variant: str = "variant"
    """Read from exposures; not needed beside an assignment file."""
    timestamp: str = "timestamp"
    """Seconds, milliseconds or microseconds since 1970, ISO 8601 text, or a date or time type; days are UTC."""
    event: str = "event"
    value: str = "value"
    """Read where a metric asks for values."""


class Layer(BaseModel, extra="forbid"):
    """Experiments of one layer share no user: each has its own slice of it (Tang et al. 2010)."""

    name: str
    start: float = Field(0.0, ge=0, lt=1)
    end: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _fits(self) -> "Layer":
        if self.start >= self.end:
            raise ValueError(f"the slice {self.start} to {self.end} is empty")
        return self


class Holdout(BaseModel, extra="forbid"):
    """Users whom no experiment reaches that names the same holdout."""

    name: str = "holdout"
    share: float = Field(gt=0, lt=1)


class ExperimentDesign(BaseModel, extra="forbid"):
    """An experiment, as `ab design`, `ab assign` and `ab analyse` read it from YAML."""

    name: str
    """Also the salt: another name splits users anew."""

    variants: dict[str, PositiveFloat] = Field(min_length=2)
    """Variant -> share of traffic; need not add up to 1."""

    control: str
    """The variant that the others are held against, e.g. the single-modal one."""

    metrics: dict[str, Metric] = Field(default_factory=dict)
    """Name -> metric."""

    layer: Layer | None = None
    """The slice of users that this experiment may have."""

    holdout: Holdout | None = None
    """Whom it must not have."""

    ramp: float = Field(1.0, gt=0, le=1)
    """Share of the eligible who are in; raised, it adds users and moves none."""

    exposure: str = "exposure"
    """The event that says a user met the variant; the first one counts."""

    start: datetime | None = None
    """Earlier events are the past, by which CUPED adjusts; the first exposure unless given. UTC unless it says."""

    end: datetime | None = None
    """Events from here on are not read."""

    cluster: str | None = None
    """Column of what was assigned, where that was no user but e.g. a household."""

    segments: list[str] = Field(default_factory=list)
    """Columns of the exposures within whose values the effect is looked at."""

    planned_users: int = Field(10_000, ge=100)
    """Users in all that the plan asks for: there the always-valid intervals are tightest."""

    alpha: float = Field(0.05, gt=0, lt=0.5)
    """Chance of a false claim over all metrics and variants."""

    columns: Columns = Columns()

    @field_validator("start", "end")
    @classmethod
    def _utc(cls, moment: datetime | None) -> datetime | None:
        if moment is None:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    @model_validator(mode="after")
    def _fits(self) -> "ExperimentDesign":
        if self.control not in self.variants:
            raise ValueError(f"control {self.control!r} is no variant (has {', '.join(self.variants)})")
        if self.exposure in {event for m in self.metrics.values() for event in (m.event, m.per)}:
            raise ValueError(f"{self.exposure!r} is the exposure, which no metric can count")
        if self.start and self.end and self.start >= self.end:
            raise ValueError("the end comes before the start")
        return self

    def shares(self) -> dict[str, float]:
        """Variant -> share of the experiment's users; adds up to 1."""
        total = sum(self.variants.values())
        return {name: weight / total for name, weight in self.variants.items()}

    def claims(self) -> int:
        """Metrics times variants that can win: what `alpha` is shared by."""
        metrics = sum(metric.guardrail is None for metric in self.metrics.values())
        return max(metrics, 1) * (len(self.variants) - 1)
