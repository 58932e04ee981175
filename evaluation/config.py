"""What an evaluation measures."""

from pydantic import BaseModel, Field, PositiveInt, field_validator

BEST_CLOSED_FORM = "closed_form"
"""Stands for the closed form that validation finds best."""


class EvaluationConfig(BaseModel, extra="forbid"):
    """Depths, the bootstrap and what the model is held against."""

    k: list[PositiveInt] = Field(default_factory=lambda: [10, 20], min_length=1)
    """List lengths at which recall, precision, F1, NDCG, MAP and hit rate are taken."""

    resamples: PositiveInt = 1000
    """Bootstrap resamples over users behind each 95 % interval."""

    baselines: tuple[str, ...] = ("popularity", "item_knn", BEST_CLOSED_FORM)
    """Models measured beside this one, fitted on train with the settings of their sections under `gnn:`; `closed_form`
    is the best on validation of `gnn.auto.closed_forms` that are not named here. `[]`: none."""

    @field_validator("k")
    @classmethod
    def _ascending(cls, k: list[int]) -> list[int]:
        return sorted(set(k))
