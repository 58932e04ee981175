"""Opening the store a run names, with credentials from the environment only."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from graph import open_store
from graph.store import GraphStore
from modalweave.errors import ConfigError, RunError
from modalweave.results.jobs import Retracted
from modalweave.workspace import Workspace

if TYPE_CHECKING:
    from modalweave.config import RunConfig


def connect(
    address: str, config: "Path | RunConfig | None" = None, *, read_only: bool = False, database: str | None = None
) -> GraphStore:
    """Open a store by address, with the `credentials` of the environment.

    `config` says how large the embedded store may grow, and names the database where neither the address does
    (`bolt://HOST:PORT#NAME`) nor `database`. Raises `graph.errors.StoreError`.
    """
    if isinstance(config, Path):
        from modalweave.config import load_config

        config = load_config(config)
    if database is None and config is not None:
        database = config.database
    most = config.max_db_size if config is not None else None
    return open_store(address, credentials=credentials(), read_only=read_only, database=database, max_db_size=most)


def credentials() -> tuple[str, str] | None:
    """`NEO4J_USERNAME` and `NEO4J_PASSWORD`; None without a password."""
    password = os.environ.get("NEO4J_PASSWORD")
    return (os.environ.get("NEO4J_USERNAME", "neo4j"), password) if password is not None else None


def address_of(store: str | None, config: Path | None) -> str:
    """The address that was given, else that of the config file's run. Raises `ConfigError` where neither is there."""
    if store is not None:
        return store
    if config is None:
        raise ConfigError("no store named: give --store ladybug:PATH, --store bolt://HOST:PORT, or a config file")
    from modalweave.config import load_config

    return load_config(config).store_address


def is_built(config: "RunConfig") -> bool:
    """Whether the run's own graph is there; of a store elsewhere only opening it can tell."""
    return config.store != "ladybug" or Workspace(config.workspace).graph.exists()


def require_built(config: "RunConfig") -> None:
    """Raises `RunError` where the run's own graph is not there."""
    if not is_built(config):
        raise RunError(f"{config.store_address} is not there; run `modalweave build` first")


def check_target(address: str) -> None:
    """Refuse a store that holds no graph before hours of work for it; nothing is made."""
    with connect(address, read_only=True) as store:
        if not store.counts().nodes["User"]:
            raise RunError(f"{address} holds no users to link items to; build the graph into it first")


def retract_model(address: str | None, config: Path | None, model_id: str) -> Retracted:
    """Delete a model's RECOMMENDED links from the store of an address or a config."""
    from scoring.writeback import retract

    address = address_of(address, config)
    connect(address, config, read_only=True).close()  # a store that is not there is not made
    with connect(address, config) as store:
        return Retracted(address, model_id, retract(store, model_id))
