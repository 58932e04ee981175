"""Building through Neo4j's bulk import: run here for a stopped local server, else told as a command."""

from dataclasses import dataclass
from pathlib import Path

from etl.import_files import write_import
from etl.media import MediaGraph
from etl.tables import Tables
from graph.neo4j.bulk_import import check_local, run_import
from modalweave.config import RunConfig
from modalweave.errors import RunError
from modalweave.results.build import BulkImport, LoadResult
from modalweave.workspace import Workspace


@dataclass(frozen=True)
class BulkOptions:
    """Where and how to import."""

    home: Path | None = None
    """Folder of the local server; without one the command is only told."""
    overwrite: bool = False
    """Replace a database that exists."""


def admin_command(config: RunConfig, options: BulkOptions) -> Path | None:
    """The local server's admin command, where one is named; asked for before anything is read or encoded.

    Raises `RunError` for the embedded store, `StoreError` where the server runs or is not there.
    """
    if config.store_address.startswith("ladybug:"):
        raise RunError(f"store {config.store!r} always loads in bulk; --bulk is for a Neo4j address")
    return check_local(options.home, config.store_address) if options.home else None


def bulk_load(
    config: RunConfig, tables: Tables, media: MediaGraph, admin: Path | None, options: BulkOptions
) -> LoadResult:
    """Write the files and import them; the load's part of the build report, with what to do next in `bulk`."""
    database = config.store_address.partition("#")[2] or config.database or "neo4j"
    files = write_import(Workspace(config.workspace).imports, tables, media)
    then = "start the server, then run `modalweave build` without --bulk: it makes the constraints and indexes"
    if admin is not None:
        run_import(files, admin, database, overwrite=options.overwrite)
    else:
        run = f"copy {files.folder} to the server's machine, stop the server, run there: {files.shown(database)}"
        then = f"{run}; {then}"
    written = sum(files.nodes.values()) + sum(files.relationships.values()) if admin is not None else 0
    return LoadResult(
        nodes=files.nodes,
        relationships=files.relationships,
        written=written,
        bulk=BulkImport(str(files.folder), admin is not None, then),
    )
