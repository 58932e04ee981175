"""What one pass of the network runs on: a whole graph, the same with fewer interactions, or a part of it.

The network holds parameters; all else that a pass reads stands here, so that a sampled batch runs through the same
network as the whole graph.
"""

from dataclasses import dataclass, replace
from typing import Any

import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor

from gnn.network.fusion import Fusion
from gnn.network.message_graph import MessageGraph, Part
from gnn.network.operators import Interacted


@dataclass(frozen=True)
class GraphInputs:
    """A graph as the network reads it."""

    graph: MessageGraph
    interacted: Interacted
    """What passes over INTERACTED: all training interactions, or fewer."""
    prepared: Any
    """What the fusion reads, as its `prepare` or `cut` made it."""
    known_items: Float[Tensor, "items"]
    """1 = in a training interaction. As floats: a product of floats and booleans takes twice as long."""
    known_users: Float[Tensor, "users"] | None
    """The same for users; None = all are."""
    part: Part | None = None
    """Rows of the start tables that its nodes have; None = all, in order."""

    @classmethod
    def of(cls, graph: MessageGraph, fusion: Fusion) -> "GraphInputs":
        """The whole graph."""
        items, users = (torch.from_numpy(graph.history.getnnz(axis=axis) > 0) for axis in (0, 1))
        known_users = None if users.all() else users.float()
        return cls(graph, Interacted.of(graph.history), fusion.prepare(graph.media), items.float(), known_users)

    def with_interactions(self, history: sp.csr_matrix) -> "GraphInputs":
        """The same with messages along these interactions (users x items) alone; who is known stays."""
        return replace(self, interacted=Interacted.of(history))

    def cut(self, part: Part, fusion: Fusion) -> "GraphInputs":
        """The part of it; a row that lost neighbours is scaled up by `all / kept`."""
        graph = self.graph.cut(part)
        return GraphInputs(
            graph,
            self.interacted.cut(part.users, part.items, part.between),
            fusion.cut(self.prepared, graph.media, part.items),
            self.known_items[part.items],
            None if self.known_users is None else self.known_users[part.users],
            part,
        )

    def to(self, device: str) -> "GraphInputs":
        """Its tensors there; operators follow what they are multiplied by, and so does what a fusion prepared."""
        known_users = None if self.known_users is None else self.known_users.to(device)
        return replace(
            self, graph=self.graph.to(device), known_items=self.known_items.to(device), known_users=known_users
        )
