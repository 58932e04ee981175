"""The cross-modal knowledge graph: schema, stores, read-only exploration and its views as tensors."""

import re

from graph.errors import GraphError, QueryRefused, SchemaError, StoreError
from graph.schema import EdgeType, GraphSchema
from graph.store import Counts, GraphStore

__all__ = [
    "Counts",
    "EdgeType",
    "GraphError",
    "GraphSchema",
    "GraphStore",
    "QueryRefused",
    "SchemaError",
    "StoreError",
    "open_store",
]

_BOLT = re.compile(r"(bolt|neo4j)(\+s|\+ssc)?://")


def open_store(
    address: str,
    *,
    credentials: tuple[str, str] | None = None,
    read_only: bool = False,
    database: str | None = None,
    max_db_size: int | None = None,
) -> GraphStore:
    """Open a graph store by its address: `ladybug:PATH`, or a Bolt address like `bolt://localhost:7687`.

    `credentials` (user, password) and `database` are for Bolt only; the address may name the database too, as
    `bolt://HOST:PORT#NAME`. A ladybug store is made where PATH does not exist yet, unless `read_only`, and grows to
    `max_db_size` bytes at most. Raises `StoreError` for an unknown scheme or where opening fails.
    """
    if address.startswith("ladybug:") and len(address) > len("ladybug:"):
        from graph.ladybug.store import LadybugStore

        return LadybugStore(address.removeprefix("ladybug:"), read_only=read_only, max_db_size=max_db_size)
    if _BOLT.match(address):
        from graph.neo4j.store import Neo4jStore

        return Neo4jStore(address, credentials=credentials, read_only=read_only, database=database)
    raise StoreError(
        f"store {address!r} is unknown; use ladybug:PATH, or bolt://, neo4j:// or neo4j+s://HOST:PORT[#DATABASE]"
    )
