"""Opening the store a run names, with credentials from the environment only."""

import os
from pathlib import Path

from graph import open_store
from graph.store import GraphStore
from modalweave.config import RunConfig, load_config
from modalweave.errors import ConfigError
from modalweave.results.jobs import Retracted
from modalweave.workspace import Workspace
from scoring.writeback import retract


def connect(
    address: str, config: Path | RunConfig | None = None, *, read_only: bool = False, database: str | None = None
) -> GraphStore:
    """Open a store by address; `NEO4J_USERNAME` and `NEO4J_PASSWORD` are read here and nowhere else.

    `config` says how large the embedded store may grow, and names the database where neither the address does
    (`bolt://HOST:PORT#NAME`) nor `database`. Raises `graph.errors.StoreError`.
    """
    settings = load_config(config) if isinstance(config, Path) else config
    if database is None and settings is not None:
        database = settings.database
    password = os.environ.get("NEO4J_PASSWORD")
    credentials = (os.environ.get("NEO4J_USERNAME", "neo4j"), password) if password is not None else None
    most = settings.max_db_size if settings else None
    return open_store(address, credentials=credentials, read_only=read_only, database=database, max_db_size=most)


def is_built(config: RunConfig) -> bool:
    """Whether the run's own graph is there; of a store elsewhere only opening it can tell."""
    return config.store != "ladybug" or Workspace(config.workspace).graph.exists()


def retract_model(address: str | None, config: Path | None, model_id: str) -> Retracted:
    """Delete a model's RECOMMENDED links from the store of an address or a config."""
    if address is None:
        if config is None:
            raise ConfigError("no store named: give --store ladybug:PATH, --store bolt://HOST:PORT, or a config file")
        address = load_config(config).store_address
    with connect(address, config) as store:
        return Retracted(address, model_id, retract(store, model_id))
