"""Source adapters, found by name: each reads one format and yields `etl.tables.Tables`."""

from collections.abc import Callable, Mapping

from etl.config import SourceConfig
from etl.errors import SourceError
from etl.sources import folder, mmrec, movielens, recbole
from etl.tables import Tables

SOURCES: Mapping[str, Callable[[SourceConfig], Tables]] = {
    "folder": folder.read,
    "recbole": recbole.read,
    "mmrec": mmrec.read,
    "movielens": movielens.read,
}
"""Format name -> adapter; a new format is one file and one line here."""


def read_source(config: SourceConfig) -> Tables:
    """Read a source with the adapter of its format; raises `SourceError`."""
    if config.format not in SOURCES:
        raise SourceError(f"source.format {config.format!r} is unknown; use one of {', '.join(SOURCES)}")
    return SOURCES[config.format](config)
