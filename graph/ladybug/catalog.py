"""What tables, columns and label pairs a ladybug database has, and the statements that add what it lacks."""

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from graph.attribute_types import widened
from graph.errors import SchemaError
from graph.names import quoted
from graph.schema import EdgeType, GraphSchema, NodeKind, RelationshipKind, column_name, stored_name

_TYPES = {
    pa.string(): "STRING",
    pa.int64(): "INT64",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOL",
    pa.list_(pa.float32()): "FLOAT[]",
}
_ARROW = {name: arrow for arrow, name in _TYPES.items()}


_WIDENED = "widened "
"""Before the name of a column that is being copied into a wider type."""


class Catalog:
    """The database's tables, read once and again after `refresh`. `run` executes one statement."""

    def __init__(self, run: Callable[[str], pa.Table]) -> None:
        self._execute = run
        self._columns: dict[str, pa.Schema] = {}
        self._pairs: dict[str, set[tuple[str, str]]] = {}
        self.refresh()

    def __contains__(self, name: str | EdgeType) -> bool:
        if isinstance(name, EdgeType):
            return (name.source, name.target) in self._pairs.get(name.relation, ())
        return name in self._columns

    def refresh(self) -> None:
        """Read what the database holds now."""
        self._columns, self._pairs = {}, {}
        for table in self._execute("CALL show_tables() RETURN name, type").to_pylist():
            name = table["name"]
            info = self._execute(f"CALL table_info('{name}') RETURN name, type").to_pylist()
            named = column_name if table["type"] == "REL" else str
            self._columns[name] = pa.schema(
                [(named(c["name"]), _ARROW[c["type"]]) for c in info if c["type"] in _ARROW]
            )
            if table["type"] == "REL":
                pairs = self._execute(f"CALL show_connection('{name}') RETURN *").to_pylist()
                self._pairs[name] = {(p["source table name"], p["destination table name"]) for p in pairs}

    def node(self, label: str, columns: Sequence[str] = ()) -> NodeKind:
        """The label's kind: this database's columns, then the schema's; `SchemaError` if unknown."""
        known = GraphSchema().nodes.get(label)
        if known is None:
            raise SchemaError(f"label {label!r} is unknown; use one of {', '.join(GraphSchema().nodes)}")
        properties = _merged(self._columns.get(label, pa.schema([])), known.properties)
        _check(label, columns, properties.names)
        return NodeKind(label, properties)

    def attributes(self, label: str) -> pa.Schema:
        """The columns of a label's table beside the graph's own, where a node has a value."""
        own = GraphSchema().nodes[label].properties.names
        columns = [f for f in self._columns.get(label, pa.schema([])) if f.name not in own]
        if not columns:
            return pa.schema([])
        counted = ", ".join(f"count(x.{quoted(f.name)}) AS n{place}" for place, f in enumerate(columns))
        (counts,) = self._execute(f"MATCH (x:{quoted(label)}) RETURN {counted}").to_pylist()
        return pa.schema([f for place, f in enumerate(columns) if counts[f"n{place}"]])

    def relationship(self, edge: EdgeType, columns: Sequence[str] = ()) -> RelationshipKind:
        """The edge's kind: this database's columns, then the schema's; `SchemaError` if unknown."""
        known = GraphSchema().relationships.get(EdgeType(*edge))
        if known is None:
            raise SchemaError(f"relationship {'-'.join(edge)} is unknown; the graph's schema lists them")
        properties = _merged(self._columns.get(edge.relation, pa.schema([])), known.properties)
        _check("-".join(edge), columns, ["source", "target", *properties.names])
        return RelationshipKind(known.edge, properties, known.discriminators)

    def stores(self, kind: NodeKind | RelationshipKind, column: str) -> bool:
        """Whether the kind's table has this column."""
        table = kind.label if isinstance(kind, NodeKind) else kind.edge.relation
        return column in self._columns.get(table, pa.schema([])).names

    def tables(self) -> list[str]:
        """Labels and relationship types."""
        return list(self._columns)

    def properties(self) -> set[str]:
        """The property names of all tables."""
        links = {name: stored_name for name in self._pairs}
        return {links.get(table, str)(name) for table, columns in self._columns.items() for name in columns.names}

    def missing(self, schema: GraphSchema) -> Iterator[str]:
        """The statements that bring this database up to `schema`; each can run again after a kill."""
        for kind in schema.nodes.values():
            yield from self._missing_table(kind.label, kind.properties, "NODE TABLE", ["PRIMARY KEY (`id`)"])
        types: dict[str, list[RelationshipKind]] = {}
        for relationship in schema.relationships.values():
            types.setdefault(relationship.edge.relation, []).append(relationship)
        for name, kinds in types.items():
            pairs = [f"FROM {quoted(k.edge.source)} TO {quoted(k.edge.target)}" for k in kinds]
            yield from self._missing_table(name, kinds[0].properties, "REL TABLE", pairs)
            if name in self._columns:
                for relationship, pair in zip(kinds, pairs, strict=True):
                    if relationship.edge not in self:
                        yield f"ALTER TABLE {quoted(name)} ADD IF NOT EXISTS {pair}"

    def _missing_table(self, name: str, properties: pa.Schema, what: str, rest: list[str]) -> Iterator[str]:
        named = stored_name if what == "REL TABLE" else str
        columns = [f"{quoted(named(f.name))} {_TYPES[f.type]}" for f in properties]
        if name not in self._columns:
            body = ", ".join([*columns, *rest] if what == "NODE TABLE" else [*rest, *columns])
            yield f"CREATE {what} IF NOT EXISTS {quoted(name)}({body})"
            return
        held = {f.name: f.type for f in self._columns[name]}
        for column in self._useless(name, properties):
            yield f"ALTER TABLE {quoted(name)} DROP {quoted(column)}"
            del held[column]
        wide = widened(name, properties, pa.schema(list(held.items())))
        for column, definition in zip(wide, columns, strict=True):
            copied = _WIDENED + column.name
            if column.name not in held and copied not in held:
                yield f"ALTER TABLE {quoted(name)} ADD IF NOT EXISTS {definition}"
            elif column.name not in held:  # a kill came before the last of the statements below
                yield f"ALTER TABLE {quoted(name)} RENAME {quoted(copied)} TO {quoted(column.name)}"
            elif held[column.name] != column.type:
                old, new, kind = quoted(column.name), quoted(copied), _TYPES[column.type]
                yield f"ALTER TABLE {quoted(name)} ADD IF NOT EXISTS {new} {kind}"
                yield f"MATCH (x:{quoted(name)}) SET x.{new} = CAST(x.{old} AS {kind})"
                yield f"ALTER TABLE {quoted(name)} DROP {old}"
                yield f"ALTER TABLE {quoted(name)} RENAME {new} TO {old}"

    def _useless(self, name: str, properties: pa.Schema) -> list[str]:
        """Columns without a value that stand in the way of wanted ones: of another type, or other in capitals only."""
        wanted = {f.name.casefold(): (f.name, f.type) for f in properties}
        other = [
            f.name for f in self._columns[name] if wanted.get(f.name.casefold(), (f.name, f.type)) != (f.name, f.type)
        ]
        if not other or name not in GraphSchema().nodes:
            return []
        kept = {*GraphSchema().nodes[name].properties.names, *self.attributes(name).names}
        return [column for column in other if column not in kept]


def _merged(first: pa.Schema, second: pa.Schema) -> pa.Schema:
    return pa.schema([*first, *(f for f in second if f.name not in first.names)])


def _check(name: str, columns: Sequence[str], known: Sequence[str]) -> None:
    for column in columns:
        if column not in known:
            raise SchemaError(f"{name} has no property {column!r}; it has {', '.join(known) or 'none'}")
