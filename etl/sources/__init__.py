"""Source adapters, found by name: each reads one format and yields `etl.tables.Tables`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from common.registry import Registry

if TYPE_CHECKING:
    from etl.config import SourceConfig
    from etl.tables import Tables

SOURCES: "Registry[Callable[[SourceConfig], Tables]]" = Registry(
    "source format",
    {
        "folder": "etl.sources.folder:read",
        "recbole": "etl.sources.recbole:read",
        "mmrec": "etl.sources.mmrec:read",
        "movielens": "etl.sources.movielens:read",
    },
    group="modalweave.sources",
)
"""Format name -> adapter; a new format is one file and one line here, or an entry point of the group."""


def read_source(config: "SourceConfig") -> "Tables":
    """Read a source with the adapter of its format; raises `SourceError`."""
    return SOURCES[config.format](config)
