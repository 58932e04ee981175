"""Recommenders by name: from the `gnn:` section of a config to something with one `fit`."""

from collections.abc import Callable, Mapping
from typing import Protocol

from torch_geometric.data import HeteroData

from gnn.auto import Auto
from gnn.combined import Ensemble
from gnn.decision import DecisionFusion
from gnn.errors import GnnError
from gnn.parts import make_part
from gnn.scorers import Progress, Scorer
from gnn.settings import GNNConfig, PartConfig


class Recommender(Protocol):
    """Fits a graph's training interactions into a scorer; choices are made on its validation pairs only."""

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Equal data, seed and settings give an equal scorer."""


def _single(name: str) -> Callable[[GNNConfig], Recommender]:
    def make(config: GNNConfig) -> Recommender:
        part = PartConfig(
            model=name,
            network=config.network(),
            graph_filter=config.graph_filter,
            ease=config.ease,
            item_knn=config.item_knn,
        )
        return make_part(part)

    return make


RECOMMENDERS: Mapping[str, Callable[[GNNConfig], Recommender]] = {
    **{name: _single(name) for name in ("popularity", "ease", "item_knn", "graph_filter", "hetero")},
    "ensemble": lambda config: Ensemble(config.ensemble),
    "auto": Auto,
}
"""Name -> what makes it from the config; a new closed form or network is one line in `gnn/parts.py` and here."""


def make_recommender(config: GNNConfig) -> Recommender:
    """The recommender `config.model` names; after `fit` its `chosen` (a dict) says what validation decided."""
    if config.fusion == "decision" and config.model in ("auto", "hetero"):
        return DecisionFusion(config)
    if config.model not in RECOMMENDERS:
        raise GnnError(f"model {config.model!r} is unknown; use one of {', '.join(RECOMMENDERS)}")
    return RECOMMENDERS[config.model](config)
