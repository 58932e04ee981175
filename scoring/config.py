"""Settings of a batch scoring job."""

from typing import Literal

from pydantic import BaseModel, Field, PositiveInt


class ScoringConfig(BaseModel, extra="forbid"):
    """How the whole user base is scored. Only `top_k` and `shard_size` change the output's bytes."""

    top_k: PositiveInt = 20
    """Recommendations for each user."""

    shard_size: PositiveInt = 10_000
    """Users in each part file; what a killed job loses at most."""

    engine: Literal["local", "ray"] = "local"
    """`local`: this process, one shard after another. `ray`: shards spread over Ray workers (extra `ray`)."""

    workers: PositiveInt = Field(2, le=4096)
    """Ray workers; each holds the bundle in memory."""

    ray_address: str | None = None
    """A running Ray cluster whose machines share the folders of bundle and output; else one starts here."""
