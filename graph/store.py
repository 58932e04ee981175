"""What every graph store can do. `graph.open_store` returns one by its address."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import pyarrow as pa

from graph.schema import EdgeType, GraphSchema


@dataclass(frozen=True)
class Counts:
    """Nodes per label and relationships per type (all label pairs of a type added up)."""

    nodes: dict[str, int]
    relationships: dict[str, int]


@dataclass(frozen=True)
class StoreOptions:
    """What opening a store may depend on beside its address; a store takes what concerns it."""

    credentials: tuple[str, str] | None = None
    """User and password."""
    read_only: bool = False
    """Refuse to write, and to make a store that is not there."""
    database: str | None = None
    """Name of the database on a server."""
    max_db_size: int | None = None
    """Bytes that an embedded store may grow to."""


def without_password(address: str) -> str:
    """The address as a message may show it: what stands before an `@` of a server's may be a password."""
    scheme, _, rest = address.partition(":")
    return address if scheme == "ladybug" or "@" not in rest else f"{scheme}://{rest.rpartition('@')[2]}"


@dataclass(frozen=True)
class Vocabulary:
    """The names of a graph, each in alphabetical order."""

    labels: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()


@runtime_checkable
class GraphStore(Protocol):
    """A property graph that holds the kinds of `graph.schema`.

    Tables travel as Arrow. Node tables have an `id` column and properties; relationship tables have `source`
    and `target` (node ids) and properties. Writing the same rows twice changes nothing the second time.
    """

    address: str
    """As the user gives it: `ladybug:PATH` or a Bolt address (no credentials)."""

    notes: list[str]
    """Sentences for the user since the store was opened, e.g. of an index left out or of a name the graph lacks."""

    def create_schema(self, schema: GraphSchema) -> None:
        """Make labels, keys and indexes exist; an older schema is extended, never dropped.

        Whole numbers become decimal where the schema says so, and stay decimal where it does not.
        """

    def write_nodes(self, label: str, table: pa.Table) -> int:
        """Insert or update nodes by `id`; returns how many were created or changed."""

    def write_relationships(self, edge: EdgeType, table: pa.Table) -> int:
        """Insert or update relationships by source, target and discriminators; returns how many changed."""

    def replace_relationships(self, edge: EdgeType, table: pa.Table, stale: pa.Table) -> int:
        """Write `table` and delete the relationships whose keys are in `stale`; returns how many changed or went.

        All that concerns one source is one transaction: a failure leaves its relationships old or new, never half.
        Either table may be empty; a stale key that does not exist is passed over.
        """

    def delete_nodes(self, label: str, ids: Sequence[str]) -> int:
        """Delete nodes by `id`, with their relationships; returns how many there were."""

    def read_nodes(self, label: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """`id` and the named properties of every node of a label, in no particular order."""

    def read_relationships(self, edge: EdgeType, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """`source`, `target` and the named properties, in no particular order."""

    def query(
        self, cypher: str, parameters: Mapping[str, Any] | None = None, *, limit: int = 10_000, timeout: float = 30.0
    ) -> pa.Table:
        """Run one read-only query (never a write); at most `limit` rows, `timeout` seconds."""

    def attributes(self, label: str) -> pa.Schema:
        """The properties that nodes of a label hold beside the graph schema's own, with their types."""

    def counts(self) -> Counts:
        """How many nodes and relationships there are."""

    def names(self) -> Vocabulary:
        """Names that the store holds beside the schema's own: a dataset's attributes, foreign labels."""

    def index_states(self) -> dict[str, str]:
        """Each constraint and index that the graph wants -> `ONLINE`, another state, or `ABSENT`; `{}` without any."""

    def nearest(self, label: str, vector: Sequence[float], count: int) -> pa.Table | None:
        """`id`, `score` (cosine) of about `count` nodes near a vector, by the store's index; None without one."""

    def is_outdated(self) -> bool:
        """Whether what was opened has since been replaced by another process, so that it has to be opened again."""

    def close(self) -> None:
        """Release connections and files."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
