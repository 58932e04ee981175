"""The neighbourhood of a batch: the nodes it meets and the interactions drawn on the way.

The rows of an operator are the receiving nodes, so a node's neighbours are those it hears from.
"""

import numpy as np
import scipy.sparse as sp
import torch

from gnn.network.config import NetworkConfig
from gnn.network.message_graph import MessageGraph

_NOBODY = np.zeros(0, dtype=np.int64)


class Neighbourhood:
    """Reaches out from a batch's nodes over each relation as far as the network looks, `fan_out` neighbours a node."""

    def __init__(
        self, graph: MessageGraph, interacted: sp.csr_matrix, config: NetworkConfig, generator: torch.Generator
    ) -> None:
        """`interacted` (users x items) are the interactions that messages pass over, all or fewer."""
        self.graph, self.config, self.generator = graph, config, generator
        self.by_user = interacted
        places = np.arange(interacted.nnz, dtype=interacted.indices.dtype)
        self.by_item = sp.csr_matrix((places, interacted.indices, interacted.indptr), shape=interacted.shape).T.tocsr()
        """Its values are the edges' places in `by_user`."""
        self.sizes = {"User": interacted.shape[0], "Item": interacted.shape[1], "Entity": graph.num_entities}

    def reach(self, users: np.ndarray, items: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The nodes met (ids ascending), and the places of the interactions drawn in `by_user`.

        A node draws its neighbours once, in the layer after it is met; those of the batch's users also tell what their
        histories are like, whatever the number of layers.
        """
        met = {label: np.zeros(size, dtype=bool) for label, size in self.sizes.items()}
        fresh = {
            label: newly(met[label], ids) for label, ids in (("User", users), ("Item", items), ("Entity", _NOBODY))
        }
        drawn = np.zeros(self.by_user.nnz, dtype=bool)
        histories = self._drawn(self.by_user, fresh["User"])
        drawn[histories] = True
        alike = self._alike(met["Item"], fresh["Item"], self.by_user.indices[histories])
        for layer in range(self.config.layers):
            if layer:
                histories = self._drawn(self.by_user, fresh["User"])
            audiences = self._drawn(self.by_item, fresh["Item"])
            drawn[histories] = drawn[self.by_item.data[audiences]] = True
            heard = self._heard_from(fresh, self.by_item.indices[audiences], self.by_user.indices[histories])
            fresh = {label: newly(met[label], ids) for label, ids in heard.items()}
        met["Item"] |= alike
        return {label: np.flatnonzero(mask) for label, mask in met.items()}, np.flatnonzero(drawn)

    def _alike(self, met: np.ndarray, items: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        """Mask of the items met, `theirs` (of the histories), and those that media links lead to from either."""
        near = met.copy()
        ring = np.concatenate([items, newly(near, theirs)])
        links = [medium.similar.forward for medium in self.graph.media.values() if medium.similar is not None]
        for _ in range(self.config.similar_hops if links else 0):
            ring = newly(near, np.concatenate([self._neighbours(link, ring) for link in links]))
        return near

    def _heard_from(self, fresh: dict[str, np.ndarray], users: np.ndarray, items: np.ndarray) -> dict[str, np.ndarray]:
        """Whom the nodes just met hear from in one layer; `users` and `items` by interactions drawn already."""
        graph = self.graph
        heard = {"User": [users], "Item": [items], "Entity": [_NOBODY]}
        if graph.follows is not None:
            heard["User"].append(self._neighbours(graph.follows.forward, fresh["User"]))
        for operator in graph.item_entity.values():
            heard["Entity"].append(self._neighbours(operator.forward, fresh["Item"]))
            heard["Item"].append(self._neighbours(operator.backward, fresh["Entity"]))
        if graph.item_entity and graph.entity_entity is not None:
            heard["Entity"].append(self._neighbours(graph.entity_entity.forward, fresh["Entity"]))
        return {label: np.concatenate(ids) for label, ids in heard.items()}

    def _neighbours(self, matrix: sp.csr_matrix, rows: np.ndarray) -> np.ndarray:
        return np.asarray(matrix.indices[self._drawn(matrix, rows)])

    def _drawn(self, matrix: sp.csr_matrix, rows: np.ndarray) -> np.ndarray:
        """Places of at most `fan_out` entries of each row: all of a short one, drawn with replacement from a longer."""
        fan_out = self.config.fan_out
        start, length = matrix.indptr[rows].astype(np.int64), np.diff(matrix.indptr)[rows]
        long = length > fan_out
        share = torch.rand(int(long.sum()), fan_out, generator=self.generator, dtype=torch.float64).numpy()
        drawn = start[long, None] + (share * length[long, None]).astype(np.int64)
        return np.concatenate([ranges(start[~long], length[~long]), drawn.ravel()])


def ranges(start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """`start, start + 1, ...` of each length, one after another."""
    return np.repeat(start - (np.cumsum(length) - length), length) + np.arange(length.sum())


def newly(met: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Those of `ids` that were not met before, each once, ascending; now they are. Sorting them would take longer."""
    fresh = np.zeros(len(met), dtype=bool)
    fresh[ids] = True
    fresh &= ~met
    met |= fresh
    return np.flatnonzero(fresh)
