"""Decision-level fusion: a network for behaviour and one for each modality, summed with weights from validation."""

from collections.abc import Iterable

from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.components import Recommender, Watch
from gnn.config import EnsembleConfig, GNNConfig, PartConfig
from gnn.ensemble import Ensemble
from gnn.footprint import Footprint, Sizes
from gnn.scorers.base import Scorer
from gnn.sections import NETWORK
from graph.schema import MEDIA_LABELS


class DecisionFusion(Recommender[GNNConfig]):
    """Each modality scores alone and the scores are weighed, where the other kinds fuse vectors."""

    Config = GNNConfig

    def __init__(self, config: GNNConfig | None = None, watch: Watch | None = None) -> None:
        super().__init__(config, watch)
        self.chosen = self.config
        """A plain `model: ensemble` section that gives the same, after `fit`."""

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Modalities without a node in the graph have no scorer; a weight of 0 leaves one out of the sum."""
        present = [m for m in self.config.modalities if data[MEDIA_LABELS[m]].num_nodes]
        ensemble = Ensemble(_networks(self.config, present), self.watch)
        scorer = ensemble.fit(data, seed=seed, progress=progress)
        self.chosen = GNNConfig.of("ensemble", ensemble.resolved())
        return scorer

    def resolved(self) -> GNNConfig:
        """The networks as the parts of a plain ensemble."""
        return self.chosen

    @classmethod
    def footprint(cls, sizes: Sizes, config: GNNConfig) -> Footprint:
        """Each network's, then the weighing."""
        return Ensemble.footprint(sizes, _networks(config, [m for m in config.modalities if m in sizes.media]))


def _networks(config: GNNConfig, modalities: Iterable[str]) -> EnsembleConfig:
    """One network without media, and one for each modality."""
    network = config.network().model_copy(update={"fusion": "joint"})
    parts = tuple(
        PartConfig.of(NETWORK, network.model_copy(update={"modalities": used}))
        for used in ((), *((m,) for m in modalities))
    )
    return config.ensemble.model_copy(update={"parts": parts, "weights": None})
