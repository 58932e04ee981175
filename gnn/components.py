"""The recommenders an ensemble can sum, by name; each knows how to name what it chose."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from torch_geometric.data import HeteroData

from common.progress import Progress
from gnn.closed_form.ease import EASE
from gnn.closed_form.graph_filter import GraphFilter, GraphFilterConfig
from gnn.closed_form.item_knn import ItemKNN
from gnn.closed_form.popularity import Popularity
from gnn.config import PartConfig
from gnn.network.recommender import HeteroGNN
from gnn.scorers.base import Scorer


class Part(Protocol):
    """A recommender that stands on its own."""

    def fit(self, data: HeteroData, *, seed: int, progress: Progress | None = None) -> Scorer:
        """Equal data, seed and settings give an equal scorer."""


@dataclass(frozen=True)
class Watch:
    """Where long fits leave their state, and who hears of each epoch."""

    checkpoints: Path | None = None
    """Folder with one file a network; a fit killed and begun again goes on from it to the same end."""
    on_epoch: Callable[[str, Mapping[str, float]], None] | None = None
    """Called with a network's name (by its settings) and `epoch, loss, ndcg@20, recall@20, seconds`."""
    tell: Callable[[str], None] | None = None
    """Called with a sentence where size decided for an approximate form, and how much it leaves out."""

    def network(self, part: PartConfig) -> HeteroGNN:
        """The network a part describes, under watch."""
        text = f"{part.seed_offset}:{part.network.model_dump_json(exclude_defaults=True)}"
        name = f"network-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        checkpoint = self.checkpoints / f"{name}.safetensors" if self.checkpoints else None
        on_epoch = partial(self.on_epoch, name) if self.on_epoch else None
        return HeteroGNN(part.network, checkpoint=checkpoint, on_epoch=on_epoch, tell=self.tell)


PARTS: Mapping[str, Callable[[PartConfig, Watch], Part]] = {
    "popularity": lambda _part, _watch: Popularity(),
    "ease": lambda part, watch: EASE(part.ease, watch.tell),
    "item_knn": lambda part, _: ItemKNN(part.item_knn),
    "graph_filter": lambda part, watch: GraphFilter(part.graph_filter, watch.tell),
    "hetero": lambda part, watch: watch.network(part),
}
"""Name -> what makes it."""


def make_part(part: PartConfig, watch: Watch) -> Part:
    """The recommender a part names."""
    return PARTS[part.model](part, watch)


def resolved(part: PartConfig, fitted: Part) -> PartConfig:
    """The part with what was chosen in `fit` written in: fitting it again searches nothing and gives the same."""
    if isinstance(fitted, GraphFilter):
        settings = fitted.config.model_dump() | {"parameters": fitted.parameters}
        return part.model_copy(update={"graph_filter": GraphFilterConfig.model_validate(settings)})
    if isinstance(fitted, EASE):
        return part.model_copy(update={"ease": fitted.resolved()})
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
