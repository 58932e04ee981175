"""What a stage starts from: the built graph, the trained bundle."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from torch_geometric.data import HeteroData

from gnn.bundle.bundle import Bundle, load_bundle
from gnn.matrices import count_strengths
from graph.hetero import everything, read_hetero
from modalweave.config import RunConfig, load_config
from modalweave.errors import RunError
from modalweave.progress import Stages
from modalweave.stages.vector_lookup import local_vectors
from modalweave.stores import connect, require_built
from modalweave.workspace import Workspace


def read_graph(config: RunConfig, stages: Stages) -> HeteroData:
    """The store's graph as tensors. Raises `RunError` where nothing was built yet."""
    require_built(config)
    with (
        stages.stage("graph", "Reading the graph"),
        connect(config.store_address, config, read_only=True) as store,
    ):
        data = read_hetero(store, vectors=local_vectors(config))
    if not data["Item"].num_nodes or not data["User"].num_nodes:
        raise RunError(f"{config.store_address} holds no users or items; run `modalweave build` first")
    return _weighed(config, data)


def read_titles(config: RunConfig, items: Sequence[str]) -> list[str | None]:
    """The titles that the store holds of the items."""
    titles: dict[str, str | None] = {}
    with connect(config.store_address, config, read_only=True) as store:
        for batch in store.read_nodes("Item", ["title"]):
            titles |= dict(zip(batch["id"].to_pylist(), batch["title"].to_pylist(), strict=True))
    return [titles.get(item) for item in items]


def read_attributes(config: RunConfig, ids: Sequence[str], label: str = "Item") -> pa.Table:
    """The attributes that the store holds of these items (or users), a row for each."""
    with connect(config.store_address, config, read_only=True) as store:
        schema = store.attributes(label)
        batches = list(store.read_nodes(label, schema.names)) if schema.names else []
    if not batches:
        return pa.table({})
    order = {node: row for row, node in enumerate(ids)}
    table = pa.Table.from_batches(batches)
    rows = [order.get(node, len(ids)) for node in table["id"].to_pylist()]
    return table.select(schema.names).take(np.argsort(rows)).slice(0, len(ids))


def whole_graph(config: RunConfig, data: HeteroData) -> HeteroData:
    """The graph that `read_graph` gave with every positive as a training interaction and none held out."""
    return _weighed(config, everything(data))


def _weighed(config: RunConfig, data: HeteroData) -> HeteroData:
    """The graph that says what its weights mean."""
    if config.source.weight.meaning == "strength":
        count_strengths(data)
    return data


def config_of(path: Path, what: str) -> RunConfig:
    """The config of the run that was named, or that a bundle lies in; `what` of its graph is needed."""
    for file in (path, *(Workspace(folder).config for folder in (path, path.parent))):
        if file.suffix in (".yaml", ".yml") and file.is_file():
            return load_config(file)
    raise RunError(f"{path}: no run, so its graph with {what} is not known; name the run's config")


def read_bundle(config: RunConfig, *, terms: bool = False) -> Bundle:
    """The run's measured bundle, every file checked against its hash."""
    folder = Workspace(config.workspace).bundle
    if not folder.exists():
        raise RunError(f"{folder} is not there; run `modalweave train` first")
    return load_bundle(folder, terms=terms)
