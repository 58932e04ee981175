"""How an epoch's batches meet the network: over the whole graph, or each over the part around it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace

import scipy.sparse as sp
import torch

from gnn.network.config import NetworkConfig
from gnn.network.hetero_network import HeteroNetwork, Vectors
from gnn.network.inputs import GraphInputs
from gnn.network.message_graph import MessageGraph
from gnn.network.objective import Batch, Loss, SampledLoss, make_loss, make_sampled_loss
from gnn.network.perturbation import Perturbation
from gnn.network.registries import LOSSES
from gnn.network.sampling import sampled_steps


class Passes(ABC):
    """Cuts an epoch into batches and gives each the vectors that `loss` judges it on."""

    loss: Loss

    @abstractmethod
    def over(
        self, network: HeteroNetwork, inputs: GraphInputs, generator: torch.Generator
    ) -> Iterator[tuple[Batch, Vectors]]:
        """Each batch with its vectors, made as the step before has left the parameters; `inputs` is a whole graph."""


class WholePasses(Passes):
    """Each step passes messages over the whole graph."""

    def __init__(self, history: sp.csr_matrix, config: NetworkConfig) -> None:
        self.loss = make_loss(history, config)

    def over(
        self, network: HeteroNetwork, inputs: GraphInputs, generator: torch.Generator
    ) -> Iterator[tuple[Batch, Vectors]]:
        """Batches as the loss cuts them."""
        for batch in self.loss.batches(generator):
            only, places = None, None
            if network.device.type == "cpu":
                only, places = torch.unique(batch.users, return_inverse=True)
            seen = Perturbation.drawn(inputs.graph, network.config, generator, network.device)
            yield replace(batch, places=places), network(inputs, seen, only)


class SampledPasses(Passes):
    """Each step passes messages over its batch's sampled neighbourhood."""

    loss: SampledLoss

    def __init__(self, history: sp.csr_matrix, config: NetworkConfig) -> None:
        self.loss = make_sampled_loss(history, config)

    def over(
        self, network: HeteroNetwork, inputs: GraphInputs, generator: torch.Generator
    ) -> Iterator[tuple[Batch, Vectors]]:
        """Batches of whole users."""
        for step in sampled_steps(network, inputs, self.loss, generator):
            seen = Perturbation.drawn(step.inputs.graph, network.config, generator, network.device)
            yield step.judged(network, seen)


def make_passes(graph: MessageGraph, config: NetworkConfig) -> Passes:
    """Sampled where the config or the graph's size asks for it; `GnnError` for a loss that cannot be."""
    return (SampledPasses if config.samples(graph.edges) else WholePasses)(graph.pairs, config)


def left_out(graph: MessageGraph, config: NetworkConfig) -> list[str]:
    """A sentence for each approximation that the graph's size decided for."""
    told = []
    sampled, many = config.samples(graph.edges), graph.num_items > config.full_softmax_items
    if LOSSES[config.loss].estimate and (many or sampled):
        items = f"{graph.num_items:,} items are more than full_softmax_items {config.full_softmax_items:,}"
        why = items if many else "a sampled batch does not hold all items"
        told.append(f"network: {why}, so the {config.loss} is estimated from {config.negatives:,} drawn ones a step")
    if config.batching == "auto" and sampled:
        told.append(
            f"network: {graph.edges:,} edges are more than sampled_above {config.sampled_above:,}, so a step sees "
            f"the neighbourhood of its batch, {config.fan_out} drawn neighbours a node and relation"
        )
    return told
