"""Mini-batches over sampled neighbourhoods, for graphs whose every step would be too large.

A batch's users, items and negatives reach out over each relation as far as the network looks, `fan_out` drawn
neighbours a node; the same network then runs on the interactions drawn and on the other links between the nodes met.
A row that lost neighbours is scaled up by `all / kept`, so with a fan-out no node exceeds the batch's vectors are those
of the whole graph (in the manner of GraphSAGE, Hamilton et al., 2017). What a step costs is then bounded by batch and
fan-out, however large the graph.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkLoader
from torch_geometric.sampler import (
    BaseSampler,
    EdgeSamplerInput,
    HeteroSamplerOutput,
    NegativeSampling,
    NodeSamplerInput,
)

from gnn.network.config import NetworkConfig
from gnn.network.hetero_network import HeteroNetwork, Perturbation, Vectors
from gnn.network.losses import Batch, SampledLoss
from gnn.network.message_graph import MessageGraph
from gnn.network.operators import Interacted
from gnn.network.subgraph import network_on

INTERACTED = ("User", "INTERACTED", "Item")
_NOBODY = np.zeros(0, dtype=np.int64)


def sampled(graph: MessageGraph, config: NetworkConfig) -> bool:
    """Whether steps run on sampled neighbourhoods: `auto` does above `sampled_above` edges of all relations."""
    return config.batching == "sampled" or (config.batching == "auto" and _edges(graph) > config.sampled_above)


def drawn_softmax(graph: MessageGraph, config: NetworkConfig) -> bool:
    """Whether `softmax` is estimated from drawn items: of many, or where sampled batches do not hold all."""
    return config.loss == "softmax" and (graph.num_items > config.full_softmax_items or sampled(graph, config))


def left_out(graph: MessageGraph, config: NetworkConfig) -> list[str]:
    """A sentence for each approximation that the graph's size decided for."""
    told = []
    if drawn_softmax(graph, config):
        many = f"{graph.num_items:,} items are more than full_softmax_items {config.full_softmax_items:,}"
        why = many if graph.num_items > config.full_softmax_items else "a sampled batch does not hold all items"
        told.append(f"network: {why}, so the softmax is estimated from {config.negatives:,} drawn ones a step")
    if config.batching == "auto" and sampled(graph, config):
        told.append(
            f"network: {_edges(graph):,} edges are more than sampled_above {config.sampled_above:,}, so a step sees "
            f"the neighbourhood of its batch, {config.fan_out} drawn neighbours a node and relation"
        )
    return told


def _edges(graph: MessageGraph) -> int:
    operators = [graph.entity_entity, graph.follows, *graph.item_entity.values()]
    operators += [medium.similar for medium in graph.media.values()]
    return int(graph.history.nnz + sum(o.forward.nnz for o in operators if o is not None))


class NeighbourSampler(BaseSampler):  # type: ignore[misc]
    """What `LinkLoader` asks for the nodes around training pairs; negatives are drawn by `loss` and are seeds too."""

    def __init__(
        self, network: HeteroNetwork, interacted: sp.csr_matrix, loss: SampledLoss, generator: torch.Generator
    ) -> None:
        self.network, self.loss, self.generator = network, loss, generator
        self.by_user = interacted
        places = np.arange(interacted.nnz, dtype=interacted.indices.dtype)
        self.by_item = sp.csr_matrix((places, interacted.indices, interacted.indptr), shape=interacted.shape).T.tocsr()
        """Its values are the edges' places in `by_user`."""
        self.sizes = {
            "User": interacted.shape[0],
            "Item": interacted.shape[1],
            "Entity": network.graph.num_entities,
        }
        self.users = np.repeat(np.arange(interacted.shape[0], dtype=np.int32), np.diff(interacted.indptr))

    def sample_from_edges(
        self, index: EdgeSamplerInput, neg_sampling: NegativeSampling | None = None
    ) -> HeteroSamplerOutput:
        """Nodes ascending, the interactions drawn, and where the batch's pairs and negatives stand."""
        negatives = self.loss.draw(Batch(index.row, index.col), self.generator)
        seeds = {"User": index.row.numpy(), "Item": torch.cat([index.col, negatives]).numpy()}
        nodes, edges = self._reach(seeds)
        place = {label: _places(nodes[label], self.sizes[label]) for label in seeds}
        return HeteroSamplerOutput(
            node={label: torch.from_numpy(ids) for label, ids in nodes.items()},
            row={INTERACTED: place["User"][self.users[edges]]},
            col={INTERACTED: place["Item"][self.by_user.indices[edges]]},
            edge={INTERACTED: torch.from_numpy(edges)},
            metadata=(
                index.input_id,
                place["User"][index.row],
                place["Item"][index.col],
                place["Item"][negatives],
                None,
            ),
        )

    def sample_from_nodes(self, index: NodeSamplerInput, **kwargs: Any) -> HeteroSamplerOutput:
        """Not offered: training starts from interactions."""
        raise NotImplementedError("neighbourhoods are sampled around interactions; use sample_from_edges")

    def _reach(self, seeds: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The nodes met, and the places of the interactions drawn; each node draws once, when it is met."""
        graph, config = self.network.graph, self.network.config
        met = {label: np.zeros(size, dtype=bool) for label, size in self.sizes.items()}
        fresh = {label: _newly(met[label], seeds.get(label, _NOBODY)) for label in met}
        own = self._drawn(self.by_user, fresh["User"])
        drawn = np.zeros(self.by_user.nnz, dtype=bool)
        drawn[own] = True
        near = met["Item"].copy()
        ring = np.concatenate([fresh["Item"], _newly(near, self.by_user.indices[own])])
        links = [m.similar.forward for m in graph.media.values() if m.similar is not None]
        for _ in range(config.similar_hops if links else 0):
            ring = _newly(near, np.concatenate([self._neighbours(link, ring) for link in links]))
        for hop in range(config.layers):
            from_users = self._drawn(self.by_user, fresh["User"]) if hop else own
            from_items = self._drawn(self.by_item, fresh["Item"])
            drawn[from_users] = drawn[self.by_item.data[from_items]] = True
            reached = {
                "User": [self.by_item.indices[from_items]],
                "Item": [self.by_user.indices[from_users]],
                "Entity": [_NOBODY],
            }
            if graph.follows is not None:
                reached["User"].append(self._neighbours(graph.follows.forward, fresh["User"]))
            for operator in graph.item_entity.values():
                reached["Entity"].append(self._neighbours(operator.forward, fresh["Item"]))
                reached["Item"].append(self._neighbours(operator.backward, fresh["Entity"]))
            if graph.item_entity and graph.entity_entity is not None:
                reached["Entity"].append(self._neighbours(graph.entity_entity.forward, fresh["Entity"]))
            fresh = {label: _newly(met[label], np.concatenate(ids)) for label, ids in reached.items()}
        met["Item"] |= near
        return {label: np.flatnonzero(mask) for label, mask in met.items()}, np.flatnonzero(drawn)

    def _neighbours(self, matrix: sp.csr_matrix, rows: np.ndarray) -> np.ndarray:
        return np.asarray(matrix.indices[self._drawn(matrix, rows)])

    def _drawn(self, matrix: sp.csr_matrix, rows: np.ndarray) -> np.ndarray:
        """Places of at most `fan_out` entries of each row: all of a short one, drawn with replacement from a longer."""
        fan_out = self.network.config.fan_out
        start, length = matrix.indptr[rows].astype(np.int64), np.diff(matrix.indptr)[rows]
        long = length > fan_out
        share = torch.rand(int(long.sum()), fan_out, generator=self.generator, dtype=torch.float64).numpy()
        drawn = start[long, None] + (share * length[long, None]).astype(np.int64)
        return np.concatenate([_ranges(start[~long], length[~long]), drawn.ravel()])


def _batches(users: Int[Tensor, "pairs"], size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Places of the pairs, whose `users` ascend, of whole users in an order drawn, about `size` of them at a time."""
    _, counts = torch.unique_consecutive(users, return_counts=True)
    start, order = counts.cumsum(0) - counts, torch.randperm(len(counts), generator=generator)
    batch = (counts[order].cumsum(0) - 1) // size
    for chosen in torch.split(order, torch.unique_consecutive(batch, return_counts=True)[1].tolist()):
        yield _ranges(start[chosen].numpy(), counts[chosen].numpy()).tolist()


def _ranges(start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """`start, start + 1, ...` of each length, one after another."""
    return np.repeat(start - (np.cumsum(length) - length), length) + np.arange(length.sum())


def _newly(met: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Those of `ids` that were not met before, each once, ascending; now they are. Sorting them would take longer."""
    fresh = np.zeros(len(met), dtype=bool)
    fresh[ids] = True
    fresh &= ~met
    met |= fresh
    return np.flatnonzero(fresh)


def _places(ids: np.ndarray, size: int) -> Int[Tensor, "size"]:
    """Where each of `size` nodes stands in `ids`; of the others anything."""
    places = torch.zeros(size, dtype=torch.int64)
    places[torch.from_numpy(ids)] = torch.arange(len(ids))
    return places


@dataclass(frozen=True)
class Step:
    """One batch and the part of the network around it."""

    batch: Batch
    """Ids of the whole graph."""
    local: HeteroNetwork
    """Shares every parameter; its users and items are `users` and `items`."""
    users: Int[Tensor, "local_users"]
    items: Int[Tensor, "local_items"]

    def judged(self, whole: HeteroNetwork, seen: Perturbation) -> tuple[Batch, Vectors]:
        """The batch with the vectors of its users and, in the whole graph's numbering, items; the others are 0."""
        only, places = None, torch.searchsorted(self.users, self.batch.users)
        if whole.device.type == "cpu":
            only, places = torch.unique(places, return_inverse=True)
        vectors = self.local(seen, None, only)

        def spread(rows: Tensor) -> Tensor:
            shape = (whole.graph.num_items, rows.shape[1])
            return rows.new_zeros(shape).index_copy(0, self.items.to(rows.device), rows)

        contents = {name: spread(rows) for name, rows in vectors.contents.items()}
        return replace(self.batch, places=places), Vectors(vectors.users, spread(vectors.items), contents)


def sampled_steps(
    network: HeteroNetwork, interacted: Interacted, loss: SampledLoss, generator: torch.Generator
) -> Iterator[Step]:
    """Every training pair once, about `pairs_a_step` at a time, in an order drawn from `generator`.

    A user's pairs come together: they share a row of scores, and meet fewer nodes than pairs of as many users.
    """
    matrix = interacted.messages.forward
    degrees = (matrix.getnnz(axis=1), matrix.getnnz(axis=0))
    data = HeteroData()
    for label, count in (("User", matrix.shape[0]), ("Item", matrix.shape[1]), ("Entity", network.graph.num_entities)):
        data[label].num_nodes = count
    data[INTERACTED].edge_index = torch.empty(2, 0, dtype=torch.int64)  # the sampler has the edges
    size = network.config.pairs_a_step(len(loss.pairs.users), sampled=True)
    loader: Any = LinkLoader(
        data,
        NeighbourSampler(network, matrix, loss, generator),
        edge_label_index=(INTERACTED, torch.stack([loss.pairs.users, loss.pairs.items])),
        neg_sampling="triplet",
        batch_sampler=_batches(loss.pairs.users, size, generator),
        generator=generator,  # else the loader draws from torch's own
    )
    for part in loader:
        users, items, entities = (part[label].n_id for label in ("User", "Item", "Entity"))
        store = part[INTERACTED]
        weights = matrix.data[store.e_id.numpy()]
        shape = (len(users), len(items))
        between = sp.csr_matrix((weights, store.edge_index.numpy()), shape=shape)
        local = network_on(network, degrees, between, users, items, entities)
        batch = Batch(
            users[part["User"].src_index], items[part["Item"].dst_pos_index], items[part["Item"].dst_neg_index]
        )
        yield Step(batch, local, users, items)
