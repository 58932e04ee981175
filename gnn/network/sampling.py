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

from gnn.errors import GnnError
from gnn.network.hetero_network import HeteroNetwork, Vectors
from gnn.network.inputs import GraphInputs
from gnn.network.message_graph import Part
from gnn.network.neighbourhood import Neighbourhood, ranges
from gnn.network.objective import Batch, SampledLoss
from gnn.network.perturbation import Perturbation

INTERACTED = ("User", "INTERACTED", "Item")


class NeighbourSampler(BaseSampler):
    """What `LinkLoader` asks for the nodes around training pairs; negatives are drawn by `loss` and are seeds too."""

    def __init__(self, around: Neighbourhood, loss: SampledLoss) -> None:
        self.around, self.loss = around, loss
        interacted = around.by_user
        self.items = interacted.indices
        self.users = np.repeat(np.arange(interacted.shape[0], dtype=np.int32), np.diff(interacted.indptr))

    def sample_from_edges(
        self, index: EdgeSamplerInput, neg_sampling: NegativeSampling | None = None
    ) -> HeteroSamplerOutput:
        """Nodes ascending, the interactions drawn, and where the batch's pairs and negatives stand."""
        negatives = self.loss.draw(Batch(index.row, index.col), self.around.generator)
        nodes, edges = self.around.reach(index.row.numpy(), torch.cat([index.col, negatives]).numpy())
        user_place, item_place = (_places(nodes[label], self.around.sizes[label]) for label in ("User", "Item"))
        return HeteroSamplerOutput(
            node={label: torch.from_numpy(ids) for label, ids in nodes.items()},
            row={INTERACTED: user_place[self.users[edges]]},
            col={INTERACTED: item_place[self.items[edges]]},
            edge={INTERACTED: torch.from_numpy(edges)},
            metadata=(index.input_id, user_place[index.row], item_place[index.col], item_place[negatives], None),
        )

    def sample_from_nodes(self, index: NodeSamplerInput, **kwargs: Any) -> HeteroSamplerOutput:
        """Refused: training starts from interactions (PyG asks every sampler for this one)."""
        raise GnnError("neighbourhoods are sampled around interactions; use sample_from_edges")


@dataclass(frozen=True)
class Step:
    """One batch and the part of the graph around it."""

    batch: Batch
    """Ids of the whole graph."""
    inputs: GraphInputs
    part: Part

    def judged(self, network: HeteroNetwork, seen: Perturbation) -> tuple[Batch, Vectors]:
        """The batch with the vectors of its users and, in the whole graph's numbering, items; the others are 0."""
        only, places = None, torch.searchsorted(self.part.users, self.batch.users)
        if network.device.type == "cpu":
            only, places = torch.unique(places, return_inverse=True)
        vectors: Vectors = network(self.inputs, seen, only)

        def spread(rows: Tensor) -> Tensor:
            shape = (network.graph.num_items, rows.shape[1])
            return rows.new_zeros(shape).index_copy(0, self.part.items.to(rows.device), rows)

        contents = {name: spread(rows) for name, rows in vectors.contents.items()}
        return replace(self.batch, places=places), Vectors(vectors.users, spread(vectors.items), contents)


def sampled_steps(
    network: HeteroNetwork, inputs: GraphInputs, loss: SampledLoss, generator: torch.Generator
) -> Iterator[Step]:
    """Every training pair once, about `pairs_a_step` at a time, in an order drawn from `generator`.

    A user's pairs come together: they share a row of scores, and meet fewer nodes than pairs of as many users.
    """
    matrix = inputs.interacted.messages.forward
    for part in _loader(network, matrix, inputs, loss, generator):
        users, items, entities = (part[label].n_id for label in ("User", "Item", "Entity"))
        drawn = part[INTERACTED]
        weights = matrix.data[drawn.e_id.numpy()]
        between = sp.csr_matrix((weights, drawn.edge_index.numpy()), shape=(len(users), len(items)))
        met = Part(users, items, entities, between)
        batch = Batch(
            users[part["User"].src_index], items[part["Item"].dst_pos_index], items[part["Item"].dst_neg_index]
        )
        yield Step(batch, inputs.cut(met, network.fusion), met)


def _loader(
    network: HeteroNetwork, matrix: sp.csr_matrix, inputs: GraphInputs, loss: SampledLoss, generator: torch.Generator
) -> Any:
    around = Neighbourhood(inputs.graph, matrix, network.config, generator)
    data = HeteroData()
    for label, count in around.sizes.items():
        data[label].num_nodes = count
    data[INTERACTED].edge_index = torch.empty(2, 0, dtype=torch.int64)  # the sampler has the edges
    size = network.config.pairs_a_step(len(loss.pairs.users), sampled=True)
    return LinkLoader(
        data,
        NeighbourSampler(around, loss),
        edge_label_index=(INTERACTED, torch.stack([loss.pairs.users, loss.pairs.items])),
        neg_sampling="triplet",
        batch_sampler=_batches(loss.pairs.users, size, generator),
        generator=generator,  # else the loader draws from torch's own
    )


def _batches(users: Int[Tensor, "pairs"], size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Places of the pairs, whose `users` ascend, of whole users in an order drawn, about `size` of them at a time."""
    _, counts = torch.unique_consecutive(users, return_counts=True)
    start, order = counts.cumsum(0) - counts, torch.randperm(len(counts), generator=generator)
    batch = (counts[order].cumsum(0) - 1) // size
    for chosen in torch.split(order, torch.unique_consecutive(batch, return_counts=True)[1].tolist()):
        yield ranges(start[chosen].numpy(), counts[chosen].numpy()).tolist()


def _places(ids: np.ndarray, size: int) -> Int[Tensor, "size"]:
    """Where each of `size` nodes stands in `ids`; of the others anything."""
    places = torch.zeros(size, dtype=torch.int64)
    places[torch.from_numpy(ids)] = torch.arange(len(ids))
    return places
