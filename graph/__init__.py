"""The cross-modal knowledge graph: schema, stores, read-only exploration and its views as tensors."""

from typing import Protocol

from common.geometric import defer_unused
from common.registry import Registry
from graph.errors import GraphError, QueryRefused, SchemaError, StoreError, StoreMissing
from graph.schema import EdgeType, GraphSchema
from graph.store import Counts, GraphStore, StoreOptions, without_password

__all__ = [
    "STORES",
    "Counts",
    "EdgeType",
    "GraphError",
    "GraphSchema",
    "GraphStore",
    "OpenStore",
    "QueryRefused",
    "SchemaError",
    "StoreError",
    "StoreMissing",
    "StoreOptions",
    "open_store",
]


defer_unused()


class OpenStore(Protocol):
    """What a scheme stands for."""

    def __call__(self, address: str, options: StoreOptions) -> GraphStore:
        """Raises `StoreError` where the address is wrong or opening fails."""


_BOLT = "graph.neo4j.store:open_address"
STORES: Registry[OpenStore] = Registry(
    "store",
    {
        "ladybug": "graph.ladybug.store:open_address",
        **dict.fromkeys(("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"), _BOLT),
    },
    group="modalweave.stores",
)
"""Scheme of an address -> what opens it; an installed package adds one by an entry point of the group."""


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
    scheme, colon, _ = address.partition(":")
    if not colon or scheme not in STORES:
        raise StoreError(
            f"store {without_password(address)!r} is unknown; use ladybug:PATH, or bolt://, neo4j:// or "
            "neo4j+s://HOST:PORT[#DATABASE]"
        )
    return STORES[scheme](address, StoreOptions(credentials, read_only, database, max_db_size))
