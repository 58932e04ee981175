"""Settings of the study and of the search: the `study:` and `tune:` sections of a config."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue, NonNegativeInt, PositiveInt, model_validator


class StudyConfig(BaseModel, extra="forbid"):
    """Which variants are compared, over which seeds, judged by what."""

    seeds: tuple[NonNegativeInt, ...] = Field((0, 1, 2), min_length=1)
    """Each network is trained once with each; closed forms once."""

    variants: tuple[str, ...] | None = None
    """Names of the variants to run (`modalweave study CONFIG --list` shows them); None runs all."""

    own: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], dict[str, JsonValue]] = {}
    """Variants of your own: name -> settings of the network that replace those of `joint`, which each is held
    against."""

    metric: Literal["recall", "ndcg", "precision", "hit", "map"] = "recall"
    """What every claim is about, at the largest `evaluation.k`; the others stand in the table."""

    category: str | None = None
    """Relation whose entities are the items' categories; None takes the one with the fewest that covers most items."""

    resamples: PositiveInt = 2000
    """Bootstrap resamples behind each test."""


class SpanConfig(BaseModel, extra="forbid"):
    """A range of numbers to search."""

    low: float
    """Smallest value."""

    high: float
    """Largest value."""

    log: bool = False
    """Search on a logarithmic scale."""

    integer: bool = False
    """Whole numbers only."""

    @model_validator(mode="after")
    def _ascending(self) -> "SpanConfig":
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError(f"low {self.low:g} and high {self.high:g} are no range{' on a log scale' * self.log}")
        return self

    def number(self, value: float) -> JsonValue:
        """The value as the config takes it."""
        return int(value) if self.integer else value


class TuneConfig(BaseModel, extra="forbid"):
    """A search for better settings on validation."""

    space: dict[str, SpanConfig | list[JsonValue]] = {}
    """Dotted config key -> values to choose from, or a range; empty takes the default space of the model."""

    trials: PositiveInt = 30
    """Settings tried in all; a search that was stopped goes on up to this number."""

    timeout: float | None = Field(default=None, gt=0)
    """Seconds after which no further trial starts."""
