"""Recommenders by name: each is a config and a class with one `fit`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel
from torch_geometric.data import HeteroData

from gnn.ease import EASE, EASEConfig
from gnn.graph_filter import GraphFilter, GraphFilterConfig
from gnn.item_knn import ItemKNN, ItemKNNConfig
from gnn.popularity import Popularity, PopularityConfig
from gnn.scorers import Progress, Scorer


class Recommender(Protocol):
    """Fits a graph's training interactions into a scorer; choices are made on its validation pairs only."""

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Equal data, seed and settings give an equal scorer."""


@dataclass(frozen=True)
class Entry:
    """A registered recommender."""

    config: type[BaseModel]
    make: Callable[..., Recommender]


RECOMMENDERS: Mapping[str, Entry] = {
    "popularity": Entry(PopularityConfig, Popularity),
    "ease": Entry(EASEConfig, EASE),
    "item_knn": Entry(ItemKNNConfig, ItemKNN),
    "graph_filter": Entry(GraphFilterConfig, GraphFilter),
}
"""Adding one is one file and one line here; the shared test case runs on it at once."""
