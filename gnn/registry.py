"""Recommenders by name: from the `gnn:` section of a config to something with one `fit`."""

from collections.abc import Callable, Mapping
from typing import Protocol

from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.automatic import Auto
from gnn.components import Watch, make_part
from gnn.config import GNNConfig, PartConfig
from gnn.decision_fusion import DecisionFusion
from gnn.ensemble import Ensemble
from gnn.errors import GnnError
from gnn.scorers.base import Scorer


class Recommender(Protocol):
    """Fits a graph's training interactions into a scorer; choices are made on its validation pairs only."""

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Equal data, seed and settings give an equal scorer."""


def _single(name: str) -> Callable[[GNNConfig, Watch], Recommender]:
    def make(config: GNNConfig, watch: Watch) -> Recommender:
        part = PartConfig(
            model=name,
            network=config.network(),
            graph_filter=config.graph_filter,
            ease=config.ease,
            item_knn=config.item_knn,
        )
        return make_part(part, watch)

    return make


RECOMMENDERS: Mapping[str, Callable[[GNNConfig, Watch], Recommender]] = {
    **{name: _single(name) for name in ("popularity", "ease", "item_knn", "graph_filter", "hetero")},
    "ensemble": lambda config, watch: Ensemble(config.ensemble, watch),
    "auto": Auto,
}
"""Name -> what makes it from the config; a new closed form or network is one line in `gnn/components.py` and here."""


def make_recommender(config: GNNConfig, watch: Watch = Watch()) -> Recommender:  # noqa: B008 (frozen)
    """The recommender `config.model` names; after `fit` its `chosen` (a dict) says what validation decided.

    `watch` keeps checkpoints of the networks inside and hears of their epochs.
    """
    if config.fusion == "decision" and config.model in ("auto", "hetero"):
        return DecisionFusion(config, watch)
    if config.model not in RECOMMENDERS:
        raise GnnError(f"model {config.model!r} is unknown; use one of {', '.join(RECOMMENDERS)}")
    return RECOMMENDERS[config.model](config, watch)
