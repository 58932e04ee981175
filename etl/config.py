"""Settings of the way from a source to the graph."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, Field, PositiveInt, PrivateAttr, field_validator, model_validator

from encoders.errors import EncoderError
from encoders.fetch import Host
from etl.sources import SOURCES

Meaning = Literal["strength", "rating", "none"]
_RATED = frozenset({"recbole", "mmrec", "movielens"})
"""Formats whose weight is a rating unless said otherwise."""
ATTRIBUTE_TYPES: Mapping[str, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}
"""What `source.types` may say of a column."""


class WeightConfig(BaseModel, extra="forbid"):
    """What the `weight` of an interaction says. A weight of 0 or less is always "seen, not liked"."""

    meaning: Meaning = "strength"
    """`strength` (plays, purchases: repeated pairs add up), `rating` (the newest of repeated pairs counts) or `none`
    (the column is not read). The formats recbole, mmrec and movielens say `rating` where nothing is set."""

    min: float | None = None
    """A weight below is "seen, not liked", e.g. 4 for stars from 1 to 5."""


class SourceConfig(BaseModel, extra="forbid"):
    """Where the catalogue lies and in which format."""

    format: Annotated[str, AfterValidator(SOURCES.checked)] = "folder"
    """`folder` (docs/datasets.md), `recbole` (atomic files), `mmrec`, `movielens`, or a name that an
    installed package brings."""

    path: Path
    """The folder, relative to the working directory."""

    columns: dict[str, str] = Field(default_factory=dict)
    """Column names that differ from the folder format: `{user_id: uid}` reads `user_id` from `uid`."""

    delimiter: str | None = Field(None, min_length=1, max_length=1)
    """What stands between the cells of a dataset folder's CSV files; found where not set."""

    types: dict[str, Literal["text", "integer", "number", "boolean"]] = Field(default_factory=dict)
    """Attribute columns whose type is not to be told from their cells: `{sku: text, price: number}`."""

    weight: WeightConfig = Field(default_factory=WeightConfig)
    """What an interaction's weight means."""

    strict: bool = False
    """Stop at the first row that breaks, instead of leaving it out with its reason."""

    media_hosts: list[str] = Field(default_factory=list)
    """Hosts that media URLs may be fetched from: `cdn.example.org`, or `cdn.example.org:8080` where the port is not
    the scheme's own. Empty: URLs are quarantined. An address that is not public must be listed itself."""

    _held: dict[str, dict[str, pa.DataType]] = PrivateAttr(default_factory=dict)

    def against(self, held: Mapping[str, Mapping[str, pa.DataType]]) -> "SourceConfig":
        """The same source, to be read into a store that holds these attributes (label -> name -> type)."""
        copy = self.model_copy()
        copy._held = {label: dict(types) for label, types in held.items()}
        return copy

    def attribute_types(self, label: str) -> dict[str, Mapping[str, pa.DataType]]:
        """What `etl.sources.attributes` is told: `wanted` by this config, `held` by the store under a label."""
        wanted = {name: ATTRIBUTE_TYPES[kind] for name, kind in self.types.items()}
        return {"wanted": wanted, "held": self._held.get(label, {})}

    @model_validator(mode="before")
    @classmethod
    def _rated(cls, values: Any) -> Any:
        """The format decides what a weight means where the config does not."""
        if not isinstance(values, dict) or values.get("format") not in _RATED:
            return values
        weight = values.get("weight") or {}
        if not isinstance(weight, dict) or "meaning" in weight:
            return values
        return {**values, "weight": {"meaning": "rating", **weight}}

    @field_validator("media_hosts")
    @classmethod
    def _are_hosts(cls, hosts: list[str]) -> list[str]:
        try:
            return [str(Host.parse(host)) for host in hosts]
        except EncoderError as error:
            raise ValueError(str(error)) from error


class SplitConfig(BaseModel, extra="forbid"):
    """How interactions are held out where the source does not say."""

    strategy: Literal["auto", "given", "random", "leave_last_out", "global_time"] = "auto"
    """`auto`: the source's own split, else `global_time` if every row has a timestamp, else `random`."""

    valid: float = Field(0.1, ge=0, lt=1)
    """Share of interactions held out for validation (`leave_last_out` holds out one each instead); 0 holds out none,
    and settings are not chosen but taken as they are given, or by default."""

    test: float = Field(0.1, ge=0, lt=1)
    """Share of interactions held out for the test; 0 holds out none, and nothing is measured on it."""

    @model_validator(mode="after")
    def _leaves_training(self) -> "SplitConfig":
        if self.valid + self.test >= 1:
            raise ValueError(f"valid {self.valid} + test {self.test} leave nothing to train on; keep the sum under 1")
        return self


class NeighbourConfig(BaseModel, extra="forbid"):
    """How similar media nodes are linked."""

    k: PositiveInt = 10
    """Neighbours kept for each node."""

    min_score: float = Field(0.0, ge=-1, le=1)
    """Cosine similarity under which no link is made."""
