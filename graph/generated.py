"""What of a graph a language model wrote, and the graph without it."""

from copy import copy
from typing import Literal

import torch
from torch_geometric.data import HeteroData

from graph.schema import HAS, EdgeType

Kind = Literal["texts", "triples"]
"""`texts`: captions and summaries; `triples`: facts."""

KINDS: tuple[Kind, ...] = ("texts", "triples")
FACTS = EdgeType("Item", "RELATED", "Entity")
_TEXT = "Text"
_HAS_TEXT = EdgeType("Item", HAS["text"], _TEXT)


def has_generated(data: HeteroData, kind: Kind) -> bool:
    """Whether a graph that `read_hetero` gave holds any."""
    if kind == "texts":
        return _TEXT in data.node_types and "generated" in data[_TEXT]
    return FACTS in data.edge_types and "generated" in data[FACTS]


def items_by_origin(data: HeteroData, kind: Kind) -> tuple[torch.Tensor, torch.Tensor]:
    """Which items have some that is generated, and which have some of the catalogue's own: bool `[items]` each."""
    edges = data[_HAS_TEXT if kind == "texts" else FACTS]
    made = _made(data, kind)
    written = made[edges.edge_index[1]] if kind == "texts" else made
    masks = [torch.zeros(int(data["Item"].num_nodes), dtype=torch.bool) for _ in range(2)]
    masks[0][edges.edge_index[0][written]] = True
    masks[1][edges.edge_index[0][~written]] = True
    return masks[0], masks[1]


def without_generated(data: HeteroData, kinds: tuple[Kind, ...]) -> HeteroData:
    """The same graph without what was generated of these kinds; nodes keep their places.

    Links between media are those found with it there: a text that had a generated one among its nearest has one less.
    """
    found = copy(data)
    if "triples" in kinds and has_generated(data, "triples"):
        _keep(found, FACTS, ~_made(data, "triples"))
    if "texts" in kinds and has_generated(data, "texts"):
        gone = _made(data, "texts")
        for key in data.edge_types:
            ends = [
                gone[row] for row, label in zip(data[key].edge_index, (key[0], key[2]), strict=True) if label == _TEXT
            ]
            if ends:
                _keep(found, EdgeType(*key), ~torch.stack(ends).any(0))
        found[_TEXT].x = data[_TEXT].x.masked_fill(gone[:, None], 0.0)
        found[_TEXT].mask = data[_TEXT].mask & ~gone
        del found[_TEXT].generated
    return found


def _made(data: HeteroData, kind: Kind) -> torch.Tensor:
    if has_generated(data, kind):
        return (data[_TEXT] if kind == "texts" else data[FACTS]).generated
    size = int(data[_TEXT].num_nodes) if kind == "texts" else data[FACTS].edge_index.shape[1]
    return torch.zeros(size, dtype=torch.bool)


def _keep(data: HeteroData, key: EdgeType, kept: torch.Tensor) -> None:
    edges = data[key]
    size = edges.edge_index.shape[1]
    for name, value in list(edges.items()):
        if name == "generated":
            del edges[name]
        elif name == "edge_index":
            edges.edge_index = value[:, kept]
        elif isinstance(value, torch.Tensor) and value.shape[:1] == (size,):
            edges[name] = value[kept]
