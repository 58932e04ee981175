"""One hash for a dataset: equal where the same rows would enter the graph, whatever their order or format."""

import hashlib

import polars as pl
import pyarrow as pa

from etl.media import MediaGraph
from etl.tables import Tables


def dataset_fingerprint(tables: Tables, media: MediaGraph | None = None) -> str:
    """SHA-256 (hex) over the rows of validated tables; with `media` over the contents of raw media too."""
    named: dict[str, pa.Table | None] = {
        "interactions": tables.interactions,
        "users": tables.users,
        "items": tables.items,
        "media": tables.media,
        "triples": tables.triples,
        "social": tables.social,
    }
    named |= {f"neighbours/{m}": table for m, table in tables.neighbours.items()}
    named |= {f"embeddings/{m}": table for m, table in tables.embeddings.items()}
    if media is not None:
        named |= {f"has/{m}": table for m, table in media.has.items()}
    digest = hashlib.sha256()
    for name, table in sorted(named.items()):
        if table is not None and len(table):
            digest.update(f"{name}\n".encode() + _digest(table))
    return digest.hexdigest()


def _digest(table: pa.Table) -> bytes:
    """Rows as JSON lines over sorted columns, in sorted order; vectors by the hash of their bytes."""
    if "vector" in table.column_names:
        vectors = [hashlib.sha256(v.values.to_numpy().tobytes()).hexdigest() for v in table["vector"]]
        position = table.schema.get_field_index("vector")
        table = table.set_column(position, "vector", pa.array(vectors, pa.string()))
    frame = pl.DataFrame(table)
    lines = frame.select(pl.struct(sorted(frame.columns)).struct.json_encode().alias("line"))["line"].sort()
    digest = hashlib.sha256(",".join(sorted(frame.columns)).encode())
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.digest()
