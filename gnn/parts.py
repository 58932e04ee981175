"""The recommenders an ensemble can sum, by name; each knows how to name what it chose."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch_geometric.data import HeteroData

from gnn.ease import EASE, EASEConfig
from gnn.graph_filter import GraphFilter, GraphFilterConfig
from gnn.item_knn import ItemKNN
from gnn.popularity import Popularity
from gnn.recommender import HeteroGNN
from gnn.scorers import Progress, Scorer
from gnn.settings import PartConfig


class Part(Protocol):
    """A recommender that stands on its own."""

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Equal data, seed and settings give an equal scorer."""


PARTS: Mapping[str, Callable[[PartConfig], Part]] = {
    "popularity": lambda _: Popularity(),
    "ease": lambda part: EASE(part.ease),
    "item_knn": lambda part: ItemKNN(part.item_knn),
    "graph_filter": lambda part: GraphFilter(part.graph_filter),
    "hetero": lambda part: HeteroGNN(part.network),
}
"""Name -> what makes it."""


def make_part(part: PartConfig) -> Part:
    """The recommender a part names."""
    return PARTS[part.model](part)


def resolved(part: PartConfig, fitted: Part) -> PartConfig:
    """The part with what was chosen in `fit` written in: fitting it again searches nothing and gives the same."""
    if isinstance(fitted, GraphFilter):
        settings = fitted.config.model_dump() | {"parameters": fitted.parameters}
        return part.model_copy(update={"graph_filter": GraphFilterConfig.model_validate(settings)})
    if isinstance(fitted, EASE):
        settings = fitted.config.model_dump() | {"regularisation": fitted.regularisation}
        return part.model_copy(update={"ease": EASEConfig.model_validate(settings)})
    return part


def describe(part: PartConfig) -> dict[str, Any]:
    """The part as plain values, without the settings of other kinds."""
    own = {"hetero": "network", "graph_filter": "graph_filter", "ease": "ease", "item_knn": "item_knn"}
    kept: dict[str, Any] = {"model": part.model}
    if part.seed_offset:
        kept["seed_offset"] = part.seed_offset
    if part.model in own:
        settings = getattr(part, own[part.model])
        kept[own[part.model]] = settings.model_dump(mode="json", exclude_defaults=True)
    return kept
