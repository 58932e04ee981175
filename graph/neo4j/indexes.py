"""Which constraints and indexes a server holds, whoever made them, and what is to be dropped and made."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from graph.errors import StoreError
from graph.names import backticked
from graph.neo4j.statements import FORMER, Wanted

SHOW: LiteralString = (
    "SHOW INDEXES YIELD name, type, state, labelsOrTypes, properties, options, owningConstraint WHERE type <> 'LOOKUP'"
)
"""Every index; a constraint's is listed as its own."""

_DROP_INDEX: LiteralString = "DROP INDEX {name} IF EXISTS"
_DROP_CONSTRAINT: LiteralString = "DROP CONSTRAINT {name} IF EXISTS"


@dataclass(frozen=True)
class Held:
    """An index on the server."""

    name: str
    kind: str
    state: str
    """`ONLINE`, `POPULATING` or `FAILED`."""
    on: frozenset[str]
    """Labels or relationship types."""
    properties: tuple[str, ...]
    constraint: str | None
    """The constraint that owns it."""
    size: int | None
    """A vector index's length."""

    def serves(self, wanted: Wanted) -> bool:
        """Whether it is of the wanted kind on the wanted properties, whatever its name, state and vector length."""
        return self.covers(wanted) and (self.constraint is not None or not wanted.unique)

    def covers(self, wanted: Wanted) -> bool:
        """The same, but a plain index for a uniqueness constraint too, which it keeps from being made."""
        same = self.on == set(wanted.on) and set(self.properties) == set(wanted.properties)
        return same and self.kind == wanted.kind

    def fits(self, wanted: Wanted) -> bool:
        """Whether it serves, is whole or being filled, and takes vectors of the wanted length."""
        return self.serves(wanted) and self.state != "FAILED" and wanted.size in (None, self.size)

    def __str__(self) -> str:
        where = f"on :{'|'.join(sorted(self.on))}({', '.join(self.properties)})"
        return f"{'constraint' if self.constraint else 'index'} {self.name!r} {where}"

    @property
    def drop(self) -> LiteralString:
        """The statement that ends it."""
        if self.constraint is not None:
            return _DROP_CONSTRAINT.format(name=backticked(self.constraint))
        return _DROP_INDEX.format(name=backticked(self.name))


@dataclass(frozen=True)
class Plan:
    """What `create_schema` has to do, in this order."""

    drop: tuple[LiteralString, ...]
    create: dict[str, LiteralString]
    """Name -> statement."""
    wait: tuple[str, ...]
    """Names of the indexes that must be online afterwards."""


def held_indexes(rows: Iterable[Mapping[str, Any]]) -> list[Held]:
    """The rows of `SHOW`."""
    return [
        Held(
            row["name"],
            row["type"],
            row["state"],
            frozenset(row["labelsOrTypes"] or ()),
            tuple(row["properties"] or ()),
            row["owningConstraint"],
            row["options"]["indexConfig"].get("vector.dimensions"),
        )
        for row in rows
    ]


def plan(wanted: Mapping[str, Wanted], held: Sequence[Held], address: str) -> Plan:
    """Whatever serves already stays, also under another name; what is ours and broken or other is made anew.

    Raises `StoreError` with the way out where something that is not ours stands in the way.
    """
    drop: list[LiteralString] = [h.drop for h in held if h.name in FORMER and h.constraint is None]
    create: dict[str, LiteralString] = {}
    wait: list[str] = []
    for name, want in wanted.items():
        fitting = next((h for h in held if h.fits(want)), None)
        if fitting is not None:
            wait += [fitting.name] if fitting.state != "ONLINE" else []
            continue
        blocking = [h for h in held if h.name == name or h.covers(want)]
        for index in blocking:
            ours = index.name == name and (index.constraint is None or index.serves(want))
            if ours:
                drop.append(index.drop)
            elif index.state == "FAILED" or want.size is None:
                state = ", which failed," if index.state == "FAILED" else ""
                raise StoreError(
                    f"{address}: {index}{state} stands in the way of {name}; run `{index.drop}` there first"
                )
        if all(index.name == name for index in blocking):
            create[name] = want.statement
            wait.append(name)
    return Plan(tuple(drop), create, tuple(wait))


def vector_index(held: Iterable[Held], want: Wanted) -> str | None:
    """The name of an index that searches vectors of the wanted label and length now."""
    return next((h.name for h in held if h.fits(want) and h.state == "ONLINE"), None)
