"""The hetero GNN as a recommender: a graph in, vectors out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.matrices import held_out
from gnn.network.config import NetworkConfig
from gnn.network.hetero_network import HeteroNetwork
from gnn.network.losses import LOSSES
from gnn.network.message_graph import message_graph
from gnn.network.sampling import left_out
from gnn.network.training import TrainingReport, finished_scorer, train
from gnn.scorers.base import DotScorer


class HeteroGNN:
    """Trains `HeteroNetwork` on the graph's training interactions and hands out its vectors.

    After `fit`, `report` says how training went, `network` is the trained network and `modality_gates()`
    tells how much each modality counts for each user.
    """

    def __init__(
        self,
        config: NetworkConfig | None = None,
        *,
        checkpoint: Path | None = None,
        on_epoch: Callable[[dict[str, float]], None] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.config = config or NetworkConfig()
        self.checkpoint = checkpoint
        self.on_epoch = on_epoch
        self.tell = tell
        self.network: HeteroNetwork | None = None
        self.report: TrainingReport | None = None

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> DotScorer:
        """Train with early stopping on the graph's validation pairs; same data and seed, same vectors.

        `progress(epochs done, at most)` is called after each epoch; `on_epoch` gets the epoch's metrics, `tell` a
        sentence where size decides for an approximation.
        Raises `GnnError` for an unknown loss, fusion or schedule, or a graph without training interactions.
        """
        graph = message_graph(data, self.config)
        if self.tell:
            for sentence in left_out(graph, self.config):
                self.tell(sentence)
        self.network = HeteroNetwork(graph, self.config, torch.Generator().manual_seed(seed))
        self.report = train(
            self.network,
            held_out(data, "valid"),
            seed=seed,
            checkpoint=self.checkpoint,
            progress=progress,
            on_epoch=self.on_epoch,
        )
        cosine = LOSSES[self.config.loss].cosine  # type: ignore[attr-defined]
        scorer = finished_scorer(self.network, cosine)
        return replace(scorer, terms=self.network.user_terms(cosine=cosine))

    def modality_gates(self) -> dict[str, Float[Tensor, "users"]]:
        """Channel name -> each user's share of attention (the shares add up to 1); empty before `fit`."""
        if self.network is None:
            return {}
        gates = self.network.modality_gates()
        return {name: gates[:, n] for n, name in enumerate(self.network.fusion.names)}
