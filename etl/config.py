"""Settings of the way from a source to the graph."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, PositiveInt, field_validator, model_validator

from encoders.errors import EncoderError
from encoders.fetch import Host


class SourceConfig(BaseModel, extra="forbid"):
    """Where the catalogue lies and in which format."""

    format: str = "folder"
    """`folder` (DESIGN's dataset folder), `recbole` (atomic files), `mmrec` or `movielens`."""

    path: Path
    """The folder, relative to the working directory."""

    columns: dict[str, str] = Field(default_factory=dict)
    """Column names that differ from the folder format: `{user_id: uid}` reads `user_id` from `uid`."""

    strict: bool = False
    """Stop at the first row that breaks, instead of leaving it out with its reason."""

    media_hosts: list[str] = Field(default_factory=list)
    """Hosts that media URLs may be fetched from: `cdn.example.org`, or `cdn.example.org:8080` where the port is not
    the scheme's own. Empty: URLs are quarantined. An address that is not public must be listed itself."""

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
    """Share of interactions held out for validation (`leave_last_out` holds out one each instead)."""

    test: float = Field(0.1, ge=0, lt=1)
    """Share of interactions held out for the test."""

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
