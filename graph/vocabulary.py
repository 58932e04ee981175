"""The names that a store's graph knows: labels, relationship types and properties."""

from graph.schema import GraphSchema
from graph.store import GraphStore, Vocabulary


def vocabulary(store: GraphStore) -> Vocabulary:
    """The schema's own names, and what the store holds beside them: a dataset's attributes, foreign labels."""
    schema, held = GraphSchema(), store.names()
    properties = {name for node in schema.nodes.values() for name in node.properties.names}
    properties.update(name for kind in schema.relationships.values() for name in kind.stored)
    return Vocabulary(
        tuple(sorted({*schema.nodes, *held.labels})),
        tuple(sorted({*(edge.relation for edge in schema.relationships), *held.types})),
        tuple(sorted({*properties, *held.properties})),
    )
