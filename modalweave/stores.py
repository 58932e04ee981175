"""Opening the store a run names, with credentials from the environment only."""

import os
from pathlib import Path

from graph import open_store
from graph.store import GraphStore
from modalweave.config import load_config
from modalweave.errors import ConfigError
from scoring.writeback import retract


def connect(
    address: str, config: Path | None = None, *, read_only: bool = False, database: str | None = None
) -> GraphStore:
    """Open a store by address; `NEO4J_USERNAME` and `NEO4J_PASSWORD` are read here and nowhere else.

    `config` names the database where `database` is not given. Raises `graph.errors.StoreError`.
    """
    if database is None and config is not None:
        database = load_config(config).database
    password = os.environ.get("NEO4J_PASSWORD")
    credentials = (os.environ.get("NEO4J_USERNAME", "neo4j"), password) if password is not None else None
    return open_store(address, credentials=credentials, read_only=read_only, database=database)


def retract_model(address: str | None, config: Path | None, model_id: str) -> dict[str, str | int]:
    """Delete a model's RECOMMENDED links from the store of an address or a config."""
    if address is None:
        if config is None:
            raise ConfigError("no store named: give --store ladybug:PATH, --store bolt://HOST:PORT, or a config file")
        address = load_config(config).store_address
    with connect(address, config) as store:
        return {"store": address, "model": model_id, "removed": retract(store, model_id)}
