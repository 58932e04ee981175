"""The node and relationship kinds of the cross-modal knowledge graph, as data.

Every label, relationship type and property name that reaches a store comes from here; values never do.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from graph.errors import SchemaError
from graph.names import checked

MODALITIES: tuple[str, ...] = ("text", "image", "audio")
"""The modalities a catalogue may have, in the order every table and report lists them."""

MEDIA_LABELS: Mapping[str, str] = {"text": "Text", "image": "Image", "audio": "Audio"}
"""Modality -> node label."""

HAS: Mapping[str, str] = {"text": "HAS_TEXT", "image": "HAS_IMAGE", "audio": "HAS_AUDIO"}
"""Modality -> the relationship type that leads from an item to its media."""

GENERATED = "generated"
"""The `source` of texts and facts that a language model wrote; those of a catalogue have none."""

ORIGIN = "origin"
"""The column of a relationship's table that is stored as its property `source`: a table's `source` is its first end."""

_ATTRIBUTE_TYPES = (pa.string(), pa.int64(), pa.float64(), pa.bool_())
_EMBEDDING = pa.list_(pa.float32())


class EdgeType(NamedTuple):
    """`(source label, relationship type, target label)`, the key PyG uses for edges."""

    source: str
    relation: str
    target: str


@dataclass(frozen=True)
class NodeKind:
    """A label and its properties; `id` (string) is always the key."""

    label: str
    properties: pa.Schema


@dataclass(frozen=True)
class RelationshipKind:
    """A relationship between two labels: its properties, and those that tell parallel ones apart."""

    edge: EdgeType
    properties: pa.Schema
    discriminators: tuple[str, ...] = ()
    """Properties that are part of the key beside source and target (e.g. `relation` of RELATED)."""

    @property
    def stored(self) -> tuple[str, ...]:
        """The properties as the graph names them."""
        return tuple(map(stored_name, self.properties.names))


def stored_name(column: str) -> str:
    """The property that a column of a relationship's table is stored as."""
    return "source" if column == ORIGIN else column


def column_name(stored: str) -> str:
    """The column of a relationship's table that holds a property."""
    return ORIGIN if stored == "source" else stored


def _nodes() -> tuple[NodeKind, ...]:
    text, number, whole = pa.string(), pa.float64(), pa.int64()
    vector = [("embedding", _EMBEDDING), ("encoder", text)]
    words = [("uri", text), ("content", text), ("lang", text)]
    return (
        NodeKind("User", pa.schema([("id", text)])),
        NodeKind("Item", pa.schema([("id", text), ("title", text)])),
        NodeKind("Text", pa.schema([("id", text), *words, *vector, ("source", text), *_provenance()])),
        NodeKind("Image", pa.schema([("id", text), ("uri", text), ("width", whole), ("height", whole), *vector])),
        NodeKind(
            "Audio", pa.schema([("id", text), ("uri", text), ("duration", number), ("sample_rate", whole), *vector])
        ),
        NodeKind("Entity", pa.schema([("id", text), ("name", text), ("type", text)])),
    )


def _relationships() -> tuple[RelationshipKind, ...]:
    text, number, whole = pa.string(), pa.float64(), pa.int64()
    interacted = pa.schema([("weight", number), ("timestamp", whole), ("split", text)])
    has = pa.schema([("role", text), ("position", whole)])
    related = pa.schema([("relation", text), (ORIGIN, text), *_provenance()])
    similar = pa.schema([("score", number), ("encoder", text)])
    recommended = pa.schema([("score", number), ("rank", whole), ("model", text), ("created", text)])
    pairs = [("Text", "Text"), ("Image", "Image"), ("Audio", "Audio"), ("Text", "Image"), ("Text", "Audio")]
    return (
        RelationshipKind(EdgeType("User", "INTERACTED", "Item"), interacted),
        RelationshipKind(EdgeType("User", "FOLLOWS", "User"), pa.schema([])),
        *(RelationshipKind(EdgeType("Item", HAS[m], MEDIA_LABELS[m]), has, ("role",)) for m in MODALITIES),
        RelationshipKind(EdgeType("Item", "RELATED", "Entity"), related, ("relation",)),
        RelationshipKind(EdgeType("Entity", "RELATED", "Entity"), related, ("relation",)),
        *(RelationshipKind(EdgeType(a, "SIMILAR", b), similar, ("encoder",)) for a, b in pairs),
        RelationshipKind(EdgeType("User", "RECOMMENDED", "Item"), recommended, ("model",)),
    )


def _provenance() -> list[tuple[str, pa.DataType]]:
    """What is known of a generated text or fact beside that it is one: the model, the hash of its instructions, the
    day, and what it was read from."""
    return [(name, pa.string()) for name in ("model", "prompt", "created", "evidence")]


@dataclass(frozen=True)
class GraphSchema:
    """The kinds of one graph: the project's own, with a dataset's attributes and vector lengths added."""

    nodes: Mapping[str, NodeKind] = field(default_factory=lambda: {n.label: n for n in _nodes()})
    relationships: Mapping[EdgeType, RelationshipKind] = field(
        default_factory=lambda: {r.edge: r for r in _relationships()}
    )
    dimensions: Mapping[str, int] = field(default_factory=dict)
    """Media label -> length of its vectors, where known: the size of the vector index."""

    def with_attributes(self, label: str, columns: pa.Schema) -> "GraphSchema":
        """Add the attribute columns of a users or items table to `User` or `Item`.

        Raises `SchemaError` for a name or a type that no store holds.
        """
        kind = self.nodes[label]
        known = {f.name: f.type for f in kind.properties}
        added = []
        for column in columns:
            checked(column.name)
            if column.type not in _ATTRIBUTE_TYPES:
                raise SchemaError(
                    f"{label} attribute {column.name!r} has type {column.type}; cast it to a text or number"
                )
            if column.name not in known:
                added.append(column)
        extended = NodeKind(label, pa.schema([*kind.properties, *added]))
        return GraphSchema({**self.nodes, label: extended}, self.relationships, self.dimensions)

    def with_dimensions(self, dimensions: Mapping[str, int]) -> "GraphSchema":
        """Fix the vector length of media labels, e.g. `{"Image": 1280}`."""
        return GraphSchema(self.nodes, self.relationships, {**self.dimensions, **dimensions})

    def hash(self) -> str:
        """SHA-256 over every kind, property and type: a bundle names the schema it was trained on by it."""
        nodes = {k: [[f.name, str(f.type)] for f in n.properties] for k, n in sorted(self.nodes.items())}
        rels = {
            "|".join(e): [[f.name, str(f.type)] for f in r.properties] for e, r in sorted(self.relationships.items())
        }
        text = json.dumps({"nodes": nodes, "relationships": rels, "dimensions": dict(sorted(self.dimensions.items()))})
        return hashlib.sha256(text.encode()).hexdigest()
