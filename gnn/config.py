"""The `gnn:` section of a config: which recommender, and every recommender's own settings."""

from typing import Literal

from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from gnn.closed_form.ease import EASEConfig
from gnn.closed_form.graph_filter import GraphFilterConfig
from gnn.closed_form.item_knn import ItemKNNConfig
from gnn.network.config import NetworkConfig

ModelName = Literal["auto", "ensemble", "hetero", "graph_filter", "ease", "item_knn", "popularity"]


class PartConfig(BaseModel, extra="forbid"):
    """One recommender of an ensemble."""

    model: Literal["hetero", "graph_filter", "ease", "item_knn", "popularity"]
    """Its name."""

    seed_offset: NonNegativeInt = 0
    """Added to the run's seed, so that two networks of one kind differ."""

    network: NetworkConfig = NetworkConfig()
    """Settings where the part is `hetero`."""

    graph_filter: GraphFilterConfig = GraphFilterConfig()
    """Settings where the part is `graph_filter`."""

    ease: EASEConfig = EASEConfig()
    """Settings where the part is `ease`."""

    item_knn: ItemKNNConfig = ItemKNNConfig()
    """Settings where the part is `item_knn`."""


class EnsembleConfig(BaseModel, extra="forbid"):
    """A weighted sum of recommenders, each user's scores normalised first."""

    parts: tuple[PartConfig, ...] = Field((PartConfig(model="hetero"), PartConfig(model="graph_filter")), min_length=1)
    """What is summed."""

    weights: tuple[NonNegativeFloat, ...] | None = None
    """One weight a part; None chooses them on validation (0 is allowed and leaves a part out)."""

    normalise: Literal["z", "rank"] = "z"
    """How parts are made comparable: scores over their deviation, or each item's place in the part's ranking."""

    max_dimensions: PositiveInt | None = None
    """Deliver one dot product of at most this many dimensions, for vector indexes; None keeps the exact sum."""


class AutoConfig(BaseModel, extra="forbid"):
    """What the automatic choice looks at."""

    closed_forms: tuple[Literal["graph_filter", "ease", "item_knn", "popularity"], ...] = (
        "graph_filter",
        "ease",
        "popularity",
    )
    """Closed-form recommenders that are candidates beside the networks."""

    networks: tuple[NetworkConfig, ...] | None = None
    """Network settings that are compared; None takes the declared space of `gnn/automatic.py`."""

    copies: PositiveInt = 2
    """Networks trained with the winning settings, each with its own seed."""

    max_pairs: PositiveInt = 3_000_000
    """Training interactions above which only the first network of the space is trained, once."""


class GNNConfig(NetworkConfig, extra="forbid"):
    """The recommender of a run. `{}` is the automatic choice.

    The network's settings stand here directly (`embedding_dim: 64`). Under `model: auto` those that are set hold
    for every candidate and the others are chosen.
    """

    model: ModelName = "auto"
    """`auto` compares closed forms and networks on validation and combines them; the others are used as named."""

    graph_filter: GraphFilterConfig = GraphFilterConfig()
    """Settings of the graph filter."""

    ease: EASEConfig = EASEConfig()
    """Settings of EASE."""

    item_knn: ItemKNNConfig = ItemKNNConfig()
    """Settings of item-kNN."""

    ensemble: EnsembleConfig = EnsembleConfig()
    """Settings of the ensemble."""

    auto: AutoConfig = AutoConfig()
    """Settings of the automatic choice."""

    def network(self) -> NetworkConfig:
        """The network's settings alone."""
        return NetworkConfig(**{name: getattr(self, name) for name in NetworkConfig.model_fields})

    def fixed(self) -> dict[str, object]:
        """The network settings that were given, as opposed to left at their default."""
        return {name: getattr(self, name) for name in NetworkConfig.model_fields if name in self.model_fields_set}
