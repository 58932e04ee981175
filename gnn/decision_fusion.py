"""Decision-level fusion: a network for behaviour and one for each modality, summed with weights from validation."""

from typing import Any

from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.components import Watch
from gnn.config import EnsembleConfig, GNNConfig, PartConfig
from gnn.ensemble import Ensemble
from gnn.scorers.base import Scorer
from graph.schema import MEDIA_LABELS


class DecisionFusion:
    """Each modality scores alone and the scores are weighed, where the other kinds fuse vectors."""

    def __init__(self, config: GNNConfig, watch: Watch) -> None:
        self.config, self.watch = config, watch
        self.chosen: dict[str, Any] = {}
        """A plain `model: ensemble` section that gives the same, after `fit`."""

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Modalities without a node in the graph have no scorer; a weight of 0 leaves one out of the sum."""
        present = [(m,) for m in self.config.modalities if data[MEDIA_LABELS[m]].num_nodes]
        network = self.config.network().model_copy(update={"fusion": "joint"})
        parts = [
            PartConfig(model="hetero", network=network.model_copy(update={"modalities": used}))
            for used in ((), *present)
        ]
        given = self.config.ensemble.model_dump(include={"normalise", "max_dimensions"})
        ensemble = Ensemble(EnsembleConfig(parts=tuple(parts), **given), self.watch)
        scorer = ensemble.fit(data, seed=seed, progress=progress)
        self.chosen = ensemble.chosen
        return scorer
