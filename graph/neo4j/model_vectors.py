"""What a model knows of nodes, as vectors on them with an index each: Cypher then finds what the model finds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import neo4j
import numpy as np
from jaxtyping import Float

from common.progress import Progress
from graph.errors import StoreError
from graph.names import quoted
from graph.neo4j import indexes
from graph.neo4j.connection import Connection
from graph.neo4j.statements import MAX_DIMENSIONS, Wanted
from graph.neo4j.write import BATCH_NUMBERS

_INDEX: LiteralString = (
    "CREATE VECTOR INDEX {name} IF NOT EXISTS FOR (n:{label}) ON n.{property} OPTIONS {{indexConfig: "
    "{{`vector.dimensions`: {size}, `vector.similarity_function`: 'cosine'}}}}"
)
_HELD: LiteralString = "MATCH (n:{label}) WHERE n.vector_model = $model RETURN collect(n.id) AS ids"
_WRITE: LiteralString = (
    "UNWIND $rows AS row MATCH (n:{label} {{id: row.id}}) SET n.vector_model = $model WITH n, row {set} "
    "RETURN count(n) AS n"
)
_SET: LiteralString = "CALL db.create.setNodeVectorProperty(n, $names[{at}], row.vectors[{at}])"
_OTHERS: LiteralString = (
    "MATCH (n:{label}) WHERE n.vector_model <> $model CALL (n) {{ REMOVE n.vector_model, {properties} }} "
    "IN TRANSACTIONS OF 1000 ROWS"
)
_AWAIT: LiteralString = "CALL db.awaitIndex($name, 600)"


@dataclass(frozen=True)
class NodeVectors:
    """Vectors of some nodes of a label."""

    label: str
    ids: Sequence[str]
    vectors: Mapping[str, Float[np.ndarray, "nodes dim"]]
    """Property -> a row for each id."""


def write_model_vectors(
    address: str,
    sets: Sequence[NodeVectors],
    model: str,
    *,
    credentials: tuple[str, str] | None = None,
    progress: Progress | None = None,
) -> int:
    """Put a model's vectors on the nodes of a server at a Bolt address; returns how many nodes got theirs now.

    A node that has this model's already is passed over, so a call cut off half-way is finished by the same call.
    Nodes that the model does not know lose those of an earlier one. Each property has a cosine index
    (`index_name`), made anew where vectors have another length. Ids that the graph lacks are left out.

    Raises `StoreError` where no server answers, a label has no nodes, or vectors are longer than an index takes.
    """
    longest = max(matrix.shape[1] for nodes in sets for matrix in nodes.vectors.values())
    if longest > MAX_DIMENSIONS:
        raise StoreError(f"vectors of {longest} numbers are over the {MAX_DIMENSIONS} that Neo4j indexes; make shorter")
    connection = Connection.to(address, credentials)
    try:
        plan = _planned(connection, sets)
        for statement in (*plan.drop, *plan.create.values()):
            connection.run(statement)
        total, done, written = sum(len(nodes.ids) for nodes in sets), 0, 0
        for nodes in sets:
            for nodes_done, nodes_written in _write(connection, nodes, model):
                written += nodes_written
                if progress:
                    progress(done + nodes_done, total)
            done += len(nodes.ids)
        for name in plan.wait:
            connection.run(_AWAIT, name=name)
    finally:
        connection.close()
    return written


def index_name(label: str, property_: str) -> str:
    """E.g. `modalweave_item_model_vector`."""
    return f"modalweave_{label.lower()}_{property_}"


def _planned(connection: Connection, sets: Sequence[NodeVectors]) -> indexes.Plan:
    """The indexes to drop and to make. Raises `StoreError` where a label has no key: every match would read all."""
    held = indexes.held_indexes(connection.run(indexes.SHOW))
    for nodes in sets:
        key = Wanted("", "RANGE", (nodes.label,), ("id",))
        if not any(index.serves(key) for index in held):
            raise StoreError(f"{connection.address} has no index on {nodes.label}.id; build the graph into it first")
    wanted = {
        index_name(nodes.label, name): Wanted(
            _INDEX.format(
                name=quoted(index_name(nodes.label, name)),
                label=quoted(nodes.label),
                property=quoted(name),
                size=int(matrix.shape[1]),
            ),
            "VECTOR",
            (nodes.label,),
            (name,),
            size=int(matrix.shape[1]),
        )
        for nodes in sets
        for name, matrix in nodes.vectors.items()
    }
    return indexes.plan(wanted, held, connection.address)


def _write(connection: Connection, nodes: NodeVectors, model: str) -> Iterator[tuple[int, int]]:
    """After each batch: how many nodes are dealt with, and how many of its own were there to be written."""
    label, names = quoted(nodes.label), list(nodes.vectors)
    properties: LiteralString = ", ".join(f"n.{quoted(name)}" for name in names)
    connection.run(_OTHERS.format(label=label, properties=properties), model=model)
    held = set(connection.run(_HELD.format(label=label), model=model)[0]["ids"])
    missing = [row for row, id_ in enumerate(nodes.ids) if id_ not in held]
    calls: LiteralString = " ".join(_SET.format(at=at) for at in range(len(names)))
    statement = _WRITE.format(label=label, set=calls)
    size = max(1, BATCH_NUMBERS // sum(matrix.shape[1] for matrix in nodes.vectors.values()))
    for start in range(0, len(missing), size):
        some = missing[start : start + size]
        lists = zip(*(matrix[some].tolist() for matrix in nodes.vectors.values()), strict=True)
        rows = [{"id": nodes.ids[row], "vectors": list(own)} for row, own in zip(some, lists, strict=True)]

        def work(transaction: neo4j.Transaction, rows: list[dict[str, Any]] = rows) -> int:
            return int(
                transaction.run(statement, {"rows": rows, "model": model, "names": names}).single(strict=True)["n"]
            )

        yield len(nodes.ids) - len(missing) + start + len(some), connection.transact(work)
