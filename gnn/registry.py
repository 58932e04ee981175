"""Recommenders by name; nothing is imported before it is asked for, so that reading a config loads no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from common.registry import Registry

if TYPE_CHECKING:
    from gnn.components import Recommender, Watch
    from gnn.config import GNNConfig
    from gnn.footprint import Footprint, Sizes

RECOMMENDERS: Registry[type[Recommender[Any]]] = Registry(
    "model",
    {
        "auto": "gnn.automatic:Auto",
        "ensemble": "gnn.ensemble:Ensemble",
        "ranked": "gnn.ranker.recommender:Ranked",
        "hetero": "gnn.network.recommender:HeteroGNN",
        "graph_filter": "gnn.closed_form.graph_filter:GraphFilter",
        "ease": "gnn.closed_form.ease:EASE",
        "item_knn": "gnn.closed_form.item_knn:ItemKNN",
        "popularity": "gnn.closed_form.popularity:Popularity",
    },
    group="modalweave.recommenders",
)
"""Name -> the class. A new one is its file and a line here, or an entry point of any installed package."""

SETTINGS: Registry[type[BaseModel]] = Registry(
    "settings",
    {
        "hetero": "gnn.network.config:NetworkConfig",
        "graph_filter": "gnn.closed_form.config:GraphFilterConfig",
        "ease": "gnn.closed_form.config:EASEConfig",
        "item_knn": "gnn.closed_form.config:ItemKNNConfig",
        "popularity": "gnn.closed_form.config:PopularityConfig",
    },
)
"""Name -> `Config` of recommenders whose settings can be read without loading them; not needed, only faster."""

COMPOSITE = ("auto", "ensemble", "ranked")
"""What is made of other recommenders and is no part of a sum itself."""


def settings_of(name: str) -> type[BaseModel]:
    """The settings a recommender takes. Raises `UnknownName`."""
    RECOMMENDERS.checked(name)
    return SETTINGS[name] if name in SETTINGS else RECOMMENDERS[name].Config


def recommender_of(config: GNNConfig) -> type[Recommender[Any]]:
    """The class that fits a `gnn:` section."""
    if config.fusion == "decision" and config.model in ("auto", "hetero"):
        from gnn.decision_fusion import DecisionFusion

        return DecisionFusion
    return RECOMMENDERS[config.model]


def make_recommender(config: GNNConfig, watch: Watch | None = None) -> Recommender[Any]:
    """The recommender a `gnn:` section asks for; `watch` keeps checkpoints and hears of epochs."""
    kind = recommender_of(config)
    return kind(_own_settings(config, kind), watch)


def resolved_config(config: GNNConfig, fitted: Recommender[Any]) -> GNNConfig:
    """After `fit`: the section that gives the same scorer without searching; `config` where nothing is chosen."""
    found = fitted.resolved()
    if found is fitted.config:
        return config
    return found if isinstance(found, type(config)) else config.of(config.model, found)


def chosen(config: GNNConfig, fitted: Recommender[Any]) -> dict[str, Any]:
    """`resolved_config` as plain values, without defaults; empty where nothing was chosen."""
    found = resolved_config(config, fitted)
    return {} if found is config else found.model_dump(mode="json", exclude_defaults=True)


def footprints(config: GNNConfig, sizes: Sizes) -> list[Footprint]:
    """What the fits behind a `gnn:` section take, in their order."""
    kind = recommender_of(config)
    return kind.footprint(sizes, _own_settings(config, kind)).stages()


def _own_settings(config: GNNConfig, kind: type[Recommender[Any]]) -> BaseModel:
    """The whole section for what chooses among recommenders, else what is said of the one named."""
    return config if kind.Config is type(config) else config.settings(config.model)
