"""Where a model's vectors may go: one module a kind of store, found by name.

A sink is a function; another package adds its own by an entry point (`modalweave.sinks`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from common.progress import Progress
from common.registry import Registry
from common.text import suggestion
from gnn.bundle.vectors import ModelVectors
from scoring.errors import ScoringError

SINK_HELP = "parquet:DIR, pgvector:DIR, lancedb:DIR, qdrant:DIR or qdrant:URL, or a Bolt address (Neo4j)"


@dataclass(frozen=True)
class Access:
    """What opening a store may need beside its address."""

    credentials: tuple[str, str] | None = None
    """User and password, of a graph store."""
    key: str | None = None
    """Of a service that asks for one."""


class Sink(Protocol):
    """Writes vectors of users and items to a place of its kind, over what an earlier export put there."""

    def __call__(self, vectors: ModelVectors, target: str, access: Access, progress: Progress | None) -> int:
        """`target` is what stands after the sink's name; a graph store is given its whole address.

        Returns how many vectors were written. Raises `ScoringError` (or the store's own) in one line.
        """


SINKS: Registry[Sink] = Registry(
    "sink",
    {
        **{name: f"scoring.sinks.{name}:write" for name in ("parquet", "pgvector", "lancedb", "qdrant")},
        **dict.fromkeys(("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"), "scoring.sinks.neo4j:write"),
    },
    group="modalweave.sinks",
)


def parse_sink(address: str, folder: str | None) -> tuple[str, str]:
    """The sink's name and its target: what follows the name, or `folder` where nothing does.

    Raises `ScoringError` for an unknown name, or without a target.
    """
    name, _, target = address.partition(":")
    if name not in SINKS:
        raise ScoringError(f"sink {name!r} is unknown; {suggestion(name, SINKS)}: {SINK_HELP}")
    target = address if target.startswith("//") else target or folder or ""
    if not target:
        raise ScoringError(f"sink {name!r} needs a place: {SINK_HELP}; or --out")
    return name, target


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Imports of an extra; `ScoringError` with the way out where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ScoringError(f"this sink needs {error.name}; run: pip install 'modalweave[{extra}]'") from error
