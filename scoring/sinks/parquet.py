"""Vectors as Parquet: `users.parquet`, `items.parquet` and `vectors.json`, which says what they are."""

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from common.files import write_json, write_whole
from common.progress import Progress
from gnn.bundle.vectors import ModelVectors
from scoring.errors import ScoringError
from scoring.sinks import Access
from scoring.sinks.tables import item_table, user_table

FACTS = "vectors.json"
_FILES = {"users.parquet", "items.parquet", FACTS}


def write(vectors: ModelVectors, target: str, access: Access, progress: Progress | None) -> int:
    """Write the folder `target`; each file is whole or not there. Raises `ScoringError` over a folder of others."""
    folder = Path(target)
    check_folder(folder, _FILES, FACTS)
    for done, (name, table) in enumerate(_tables(vectors).items(), start=1):
        write_whole(folder / name, partial(pq.write_table, table, compression="zstd"))
        if progress:
            progress(done, 2)
    write_json(folder / FACTS, facts(vectors))
    return len(vectors.users) + len(vectors.items)


def _tables(vectors: ModelVectors) -> dict[str, pa.Table]:
    return {"users.parquet": user_table(vectors), "items.parquet": item_table(vectors)}


def facts(vectors: ModelVectors) -> dict[str, object]:
    """What a reader has to know: whose vectors they are, and that inner products rank."""
    return {
        "model": vectors.model,
        "dimensions": vectors.dimensions,
        "metric": "inner product",
        "users": len(vectors.users),
        "items": len(vectors.items),
        "agreement": dict(vectors.agreement),
    }


def check_folder(folder: Path, ours: set[str], sign: str) -> None:
    """Raise `ScoringError` where a folder is a file, or holds other things and not `sign`."""
    if folder.exists() and not folder.is_dir():
        raise ScoringError(f"{folder} is a file; give a folder for the vectors")
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if held - ours or (held and sign not in held):
        other = sorted(held - ours or held)[0]
        raise ScoringError(f"{folder} holds {other!r} and is no export of vectors; give an empty or new folder")
