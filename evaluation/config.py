"""What an evaluation measures."""

from pydantic import BaseModel, Field, PositiveInt, field_validator


class EvaluationConfig(BaseModel, extra="forbid"):
    """Depths, the bootstrap and the slices of an evaluation."""

    k: list[PositiveInt] = Field(default_factory=lambda: [10, 20], min_length=1)
    """List lengths at which recall, precision, F1, NDCG, MAP and hit rate are taken."""

    resamples: PositiveInt = 1000
    """Bootstrap resamples over users behind each 95 % interval."""

    @field_validator("k")
    @classmethod
    def _ascending(cls, k: list[int]) -> list[int]:
        return sorted(set(k))
