"""The network on a part of its graph: the same parameters, start vectors and operators cut to the nodes in it."""

import copy
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from torch import Tensor

from gnn.network.fusion import FeatureFusion, Fusion, JointFusion
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.message_graph import Medium, MessageGraph
from gnn.network.operators import Interacted, SparseOperator, row_mean


def network_on(
    network: HeteroNetwork,
    degrees: tuple[np.ndarray, np.ndarray],
    between: sp.csr_matrix,
    users: Tensor,
    items: Tensor,
    entities: Tensor,
) -> HeteroNetwork:
    """The network on these nodes (ids ascending); it shares every parameter, so its gradients are the whole one's.

    `between` (users x items, numbered as in the part) holds the interactions kept, `degrees` every user's and item's
    number of interactions in the whole graph: a row that lost some is scaled up by `all / kept`.
    """
    graph = network.graph
    ones = between.copy()
    ones.data = np.ones_like(ones.data)
    media = {name: _cut_medium(medium, items) for name, medium in graph.media.items()}
    local = copy.copy(network)
    local._modules = dict(network._modules)
    local._parameters = {n: p for n, p in network._parameters.items() if not n.endswith("_start")}
    local.graph = MessageGraph(
        ones,
        media,
        {name: _cut(operator, items, entities) for name, operator in graph.item_entity.items()},
        None if graph.entity_entity is None else _cut(graph.entity_entity, entities, entities),
        None if graph.follows is None else _cut(graph.follows, users, users),
    )
    local.fusion = _cut_fusion(network.fusion, media, items)
    local.__dict__["user_start"], local.__dict__["item_start"] = network.user_start[users], network.item_start[items]
    local.__dict__["entity_start"] = None if network.entity_start is None else network.entity_start[entities]
    messages = _BothWays(between, degrees[0][users.numpy()], degrees[1][items.numpy()])
    local.interacted = Interacted(messages, SparseOperator(row_mean(ones)))
    local._known_items = network._known_items[items]
    local._known_users = None if network._known_users is None else network._known_users[users]
    return local


class _BothWays(SparseOperator):
    """Each direction scaled by its own receivers' `all / kept`."""

    def __init__(self, part: sp.csr_matrix, row_degrees: np.ndarray, column_degrees: np.ndarray) -> None:
        super().__init__(_scaled(part, row_degrees))
        self._turned = SparseOperator(_scaled(part.T.tocsr(), column_degrees))

    @property
    def T(self) -> SparseOperator:
        """Messages the other way."""
        return self._turned


def _cut(operator: SparseOperator, rows: Tensor, columns: Tensor) -> _BothWays:
    part = operator.forward[rows.numpy()][:, columns.numpy()].tocsr()
    return _BothWays(part, *(np.diff(m.indptr)[i] for m, i in ((operator.forward, rows), (operator.backward, columns))))


def _scaled(part: sp.csr_matrix, degrees: np.ndarray) -> sp.csr_matrix:
    kept = np.diff(part.indptr)
    return (sp.diags((degrees / np.maximum(kept, 1)).astype(np.float32)) @ part).tocsr()


def _cut_medium(medium: Medium, items: Tensor) -> Medium:
    return replace(
        medium,
        features=None if medium.features is None else medium.features[items],
        similar=None if medium.similar is None else _cut(medium.similar, items, items),
        filled=None if medium.filled is None else medium.filled[items],
    )


def _cut_fusion(fusion: Fusion, media: dict[str, Medium], items: Tensor) -> Fusion:
    local = copy.copy(fusion)
    if isinstance(local, JointFusion):
        local.media = media
    if isinstance(local, FeatureFusion):
        local.real = {name: real[items] for name, real in local.real.items()}
        local.similar = None if local.similar is None else _cut(local.similar, items, items)
    return local
