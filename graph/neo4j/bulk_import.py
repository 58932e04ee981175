"""The bulk path into Neo4j: CSV files, and the call of `neo4j-admin database import full` that makes a graph of them.

The import replaces a database whole and wants its server stopped. Constraints and indexes come after it, from
`GraphStore.create_schema` on the started server. The graph is the same as from writing over the driver.
"""

import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from graph.diff import conform_nodes, conform_relationships
from graph.errors import SchemaError, StoreError
from graph.schema import ORIGIN, EdgeType, GraphSchema, stored_name

LOG = "import.log"
"""What the import said, beside its files."""

_TYPES = {pa.int64(): ":long", pa.float64(): ":double", pa.bool_(): ":boolean", pa.list_(pa.float32()): ":float[]"}
_HEADER_SIGNS = frozenset(':(){}[]"')
"""What says a column's type and options in a header."""
_SHOWN = " ".join(sorted(_HEADER_SIGNS))
_ROWS = 8_192


@dataclass(frozen=True)
class ImportFiles:
    """One CSV file, header first, for each kind that has rows."""

    folder: Path
    files: tuple[str, ...]
    """The import's `--nodes` and `--relationships` arguments, relative to `folder` (without `./` 2026 fails)."""
    nodes: dict[str, int]
    """Label -> rows."""
    relationships: dict[str, int]
    """Relationship type -> rows, all label pairs added up."""
    multiline: bool
    """Whether a text holds a line break, which slows the import down."""

    def command(self, database: str, *, admin: str | Path = "neo4j-admin", overwrite: bool = False) -> list[str]:
        """The import's command line, to be run in `folder`."""
        options = ["--overwrite-destination"] if overwrite else []
        options += ["--multiline-fields=true"] if self.multiline else []
        return [
            *(str(admin), "database", "import", "full", database, *options),
            *("--bad-tolerance=0", "--report-file=./import.report"),
            *self.files,
        ]

    def shown(self, database: str) -> str:
        """The command for people to copy to the server's machine, which gets `folder` too."""
        return join(self.command(database, overwrite=True))


def write_files(
    folder: Path,
    schema: GraphSchema,
    nodes: Iterable[tuple[str, pa.Table]],
    relationships: Iterable[tuple[EdgeType, pa.Table]],
) -> ImportFiles:
    """Write tables as for `GraphStore.write_nodes` and `write_relationships` into a folder (older files go).

    Raises `SchemaError` for columns outside the schema.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.csv"):
        old.unlink()
    files: list[str] = []
    labels: dict[str, int] = {}
    types: dict[str, int] = {}
    multiline = False
    for label, table in nodes:
        rows = conform_nodes(table, schema.nodes[label])
        labels[label] = len(rows)
        if len(rows):
            files.append(f"--nodes={label}=./{label}.csv")
            multiline |= _write(folder / f"{label}.csv", rows, {"id": f"id:ID({label})"})
    for edge, table in relationships:
        rows = conform_relationships(table, schema.relationships[edge])
        types[edge.relation] = types.get(edge.relation, 0) + len(rows)
        if len(rows):
            name = f"{'-'.join(edge)}.csv"
            files.append(f"--relationships={edge.relation}=./{name}")
            ends = {"source": f":START_ID({edge.source})", "target": f":END_ID({edge.target})"}
            multiline |= _write(folder / name, rows, {ORIGIN: stored_name(ORIGIN), **ends})
    return ImportFiles(folder, tuple(files), labels, types, multiline)


def check_local(home: Path, address: str) -> Path:
    """The admin command of the server in `home`, which must be stopped; `StoreError` where either is not so."""
    admin = home / "bin" / "neo4j-admin"
    if not admin.is_file():
        raise StoreError(f"{home} holds no bin/neo4j-admin; give the folder of the Neo4j server, or leave it out")
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 7687), timeout=3).close()
    except OSError:
        return admin
    raise StoreError(f"a server runs at {address}; stop it first ({home}/bin/neo4j stop): import needs its files alone")


def run_import(files: ImportFiles, admin: Path, database: str, *, overwrite: bool) -> None:
    """Run the import on this machine; its output goes to `LOG` in the files' folder.

    Raises `StoreError` where the database exists and `overwrite` is not given, or the import fails.
    """
    log = files.folder.absolute() / LOG
    with log.open("w") as out:
        done = subprocess.run(  # noqa: S603
            files.command(database, admin=admin.absolute(), overwrite=overwrite),
            cwd=files.folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        said = log.read_text(errors="replace")
        if "overwrite-destination" in said and not overwrite:
            raise StoreError(f"database {database!r} exists already; --overwrite replaces it whole by this graph")
        before, failed, after = said.partition("Command Failed")
        text = after if failed else before.partition("Run with '--verbose'")[0]
        lines = [line.strip() for line in text.splitlines() if line.strip(" -")]
        reason = (lines[0] if failed else lines[-1]) if lines else f"exit code {done.returncode}"
        raise StoreError(f"neo4j-admin could not import ({reason[:200]}); {log} has all it said")


def _write(path: Path, table: pa.Table, names: dict[str, str]) -> bool:
    """Write one file; returns whether a text in it holds a line break."""
    odd = next((f.name for f in table.schema if set(f.name) & _HEADER_SIGNS), None)
    if odd is not None:
        raise SchemaError(f"{path.stem}.{odd}: neo4j-admin takes no {_SHOWN} in a name; build without --bulk")
    header = [names.get(f.name, f.name + _TYPES.get(f.type, "")) for f in table.schema]
    kinds = [pa.string() if pa.types.is_list(f.type) else f.type for f in table.schema]
    schema = pa.schema(list(zip(header, kinds, strict=True)))
    multiline = False
    with csv.CSVWriter(path, schema) as writer:
        for batch in table.to_batches(max_chunksize=_ROWS):
            columns = [_joined(c) if pa.types.is_list(c.type) else c for c in batch.columns]
            texts = (c for c in batch.columns if c.type == pa.string())
            multiline = multiline or any(pc.any(pc.match_substring_regex(c, r"[\r\n]")).as_py() for c in texts)
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return multiline


def _joined(vectors: pa.Array) -> pa.Array:
    """Numbers in their shortest exact notation, with semicolons."""
    return pc.binary_join(vectors.cast(pa.list_(pa.string())), ";")
