"""The tables every source adapter yields, whatever the format it reads."""

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

INTERACTIONS = pa.schema(
    [
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("timestamp", pa.int64()),
        ("weight", pa.float64()),
        ("split", pa.string()),
    ]
)
MEDIA = pa.schema(
    [
        ("item_id", pa.string()),
        ("modality", pa.string()),
        ("uri", pa.string()),
        ("content", pa.string()),
        ("role", pa.string()),
        ("lang", pa.string()),
    ]
)
NEIGHBOURS = pa.schema([("item_id", pa.string()), ("neighbour_id", pa.string()), ("score", pa.float64())])
TRIPLES = pa.schema(
    [
        ("head_id", pa.string()),
        ("relation", pa.string()),
        ("tail_id", pa.string()),
        ("head_type", pa.string()),
        ("tail_type", pa.string()),
        ("tail_name", pa.string()),
    ]
)
SOCIAL = pa.schema([("user_id", pa.string()), ("friend_id", pa.string())])
PROVENANCE = pa.schema([(name, pa.string()) for name in ("source", "model", "prompt", "created", "evidence")])
"""What rows of media and triples have beside their own columns once a language model has written some of them; null in
the catalogue's own."""
QUARANTINE = pa.schema(
    [("item_id", pa.string()), ("modality", pa.string()), ("uri", pa.string()), ("reason", pa.string())]
)


@dataclass(frozen=True)
class Tables:
    """One dataset in memory. Optional columns are present and null where the source lacks them."""

    interactions: pa.Table
    """`INTERACTIONS`; `split` null until `etl.split` fills it."""
    users: pa.Table | None = None
    """`user_id` and attributes."""
    items: pa.Table | None = None
    """`item_id`, `title` where known, attributes."""
    media: pa.Table | None = None
    """`MEDIA`; exactly one of `uri` and `content` is set. With `PROVENANCE` where some are generated."""
    embeddings: dict[str, pa.Table] = field(default_factory=dict)
    """Modality -> `item_id`, `vector` (fixed-size list<float32>): used as given."""
    neighbours: dict[str, pa.Table] = field(default_factory=dict)
    """Modality -> `NEIGHBOURS`: used as given."""
    triples: pa.Table | None = None
    """`TRIPLES`, with `PROVENANCE` where some are generated."""
    social: pa.Table | None = None
    """`SOCIAL`."""
    root: Path | None = None
    """The folder that every media `uri` is relative to, and must stay inside."""
    rejected: pa.Table = field(default_factory=QUARANTINE.empty_table)
    """`QUARANTINE`: rows a reader or the validation left out, each with its reason."""
    notes: tuple[str, ...] = ()
    """What a reader or the validation did that a user should know, one sentence each."""
