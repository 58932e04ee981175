"""Settings of a batch scoring job."""

from typing import Literal

from pydantic import BaseModel, Field, PositiveInt


class ScoringConfig(BaseModel, extra="forbid"):
    """How the whole user base is scored. Only `top_k`, `new_items`, `diversity`, `shard_size`,
    `format`, `partition_by`, `titles` and `index` change the output's bytes."""

    top_k: PositiveInt = 20
    """Recommendations for each user."""

    new_items: float = Field(0.0, ge=0, le=1)
    """Share of each list that goes to the best items with media and without any interaction, spread over it; rounded
    to whole places. 0: such an item is there where the model ranks it."""

    diversity: float = Field(0.0, ge=0, lt=1)
    """How much it counts against an item that the list has a like one already (maximal marginal relevance); 0: not."""

    shard_size: PositiveInt = 10_000
    """Users in each part file; what a killed job loses at most."""

    format: Literal["parquet", "csv"] = "parquet"
    """Of the parts; in CSV a text that a spreadsheet would take for a formula has an apostrophe before it."""

    partition_by: Literal["shard"] | None = None
    """`shard`: each part in a folder of its own, `shard=00000/part.parquet`, which readers take for a column `shard`;
    null: `part-00000.parquet` beside each other."""

    titles: bool = False
    """A column `title` beside the scores, as the bundle has them."""

    index: Literal["exact", "hnsw", "ivf_pq"] = "exact"
    """`exact`: every item is ranked. Else an approximate index of a single dot product's items finds the candidates, of
    which the best are ranked by their exact scores; how much of the exact lists that finds is measured and told."""

    engine: Literal["local", "ray"] = "local"
    """`local`: this machine. `ray`: shards spread over Ray workers (extra `ray`)."""

    workers: PositiveInt | None = Field(None, le=4096)
    """Processes, or Ray workers, each with the bundle in memory; null: this process alone, or two of Ray."""

    ray_address: str | None = None
    """A running Ray cluster, which needs no folder in common with this machine; null: one starts here."""
