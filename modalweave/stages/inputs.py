"""What a stage starts from: the built graph, the trained bundle."""

from torch_geometric.data import HeteroData

from gnn.bundle.bundle import Bundle, load_bundle
from gnn.matrices import count_strengths
from graph.hetero import read_hetero
from modalweave.config import RunConfig
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
    if config.source.weight.meaning == "strength":
        count_strengths(data)
    return data


def read_bundle(config: RunConfig, *, terms: bool = False) -> Bundle:
    """The run's trained bundle, every file checked against its hash."""
    folder = Workspace(config.workspace).bundle
    if not folder.exists():
        raise RunError(f"{folder} is not there; run `modalweave train` first")
    return load_bundle(folder, terms=terms)
