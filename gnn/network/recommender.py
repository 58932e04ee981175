"""The hetero GNN as a recommender: a graph in, vectors out."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.components import Recommender, Watch, fit_name
from gnn.footprint import Footprint, Sizes
from gnn.matrices import held_out
from gnn.network.config import NetworkConfig
from gnn.network.finished import finished_scorer
from gnn.network.footprint import network_footprint
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.item_encoder import item_encoder
from gnn.network.message_graph import message_graph
from gnn.network.objective import sampled_kind
from gnn.network.passes import left_out
from gnn.network.registries import LOSSES
from gnn.network.training import TrainingReport, train
from gnn.scorers.base import DotScorer


class HeteroGNN(Recommender[NetworkConfig]):
    """Trains `HeteroNetwork` on the graph's training interactions and hands out its vectors.

    After `fit`, `report` says how training went, `network` is the trained network and `modality_gates()`
    tells how much each modality counts for each user.
    """

    Config = NetworkConfig

    def __init__(self, config: NetworkConfig | None = None, watch: Watch | None = None) -> None:
        super().__init__(config, watch)
        if self.config.batching == "sampled":
            sampled_kind(self.config.loss)  # told here rather than after the graph was read
        self.network: HeteroNetwork | None = None
        self.report: TrainingReport | None = None

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> DotScorer:
        """Train with early stopping on the graph's validation pairs; same data and seed, same vectors.

        `progress(epochs done, at most)` is called after each epoch; the watch keeps a checkpoint, hears of the epoch's
        metrics and is told where size decides for an approximation.
        Raises `GnnError` for a device that is not there, or a graph without training interactions.
        """
        graph = message_graph(data, self.config)
        if self.watch.tell:
            for sentence in left_out(graph, self.config):
                self.watch.tell(sentence)
        name = fit_name("network", self.config, seed)
        self.network = HeteroNetwork(graph, self.config, torch.Generator().manual_seed(seed))
        self.report = train(
            self.network,
            held_out(data, "valid"),
            seed=seed,
            checkpoint=self.watch.checkpoint(name),
            progress=progress,
            on_epoch=self.watch.epochs(name),
            on_resume=self.watch.on_resume,
        )
        cosine = LOSSES[self.config.loss].cosine
        scorer = finished_scorer(self.network, cosine)
        return replace(scorer, terms=self.network.user_terms(cosine=cosine))

    def item_encoder(self, data: HeteroData) -> Mapping[str, np.ndarray]:
        """See `gnn.network.item_encoder`."""
        return {} if self.network is None else item_encoder(self.network, data, cosine=LOSSES[self.config.loss].cosine)

    def resolved(self) -> NetworkConfig:
        """The settings with the epochs whose parameters were kept, at the same learning rates."""
        if self.report is None or self.report.best_epoch == self.config.epochs:
            return self.config
        found: dict[str, int] = {"epochs": self.report.best_epoch}
        if self.config.schedule != "constant":
            found["schedule_epochs"] = self.config.schedule_epochs or self.config.epochs
        return self.config.model_copy(update=found)

    @classmethod
    def footprint(cls, sizes: Sizes, config: NetworkConfig) -> Footprint:
        """See `network_footprint`."""
        return network_footprint(sizes, config)

    def modality_gates(self) -> dict[str, Float[Tensor, "users"]]:
        """Channel name -> each user's share of attention (the shares add up to 1); empty before `fit`."""
        if self.network is None:
            return {}
        gates = self.network.modality_gates()
        return {name: gates[:, n] for n, name in enumerate(self.network.fusion.names)}
