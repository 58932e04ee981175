"""The dataset folder: `interactions` (needed) and the optional tables beside it, Parquet or CSV in UTF-8."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from etl.config import SourceConfig
from etl.errors import SourceError
from etl.sources.columns import attributes, conform, rename, vectors
from etl.sources.files import inside, open_folder, read_parquet, read_table
from etl.tables import INTERACTIONS, MEDIA, NEIGHBOURS, SOCIAL, TRIPLES, Tables
from graph.schema import MODALITIES


def read(config: SourceConfig) -> Tables:
    """The tables of the folder; raises `SourceError` naming file, row and column for what cannot be read."""
    folder = open_folder(config.path)
    interactions = _table(folder, "interactions", INTERACTIONS, ("user_id", "item_id"), config.columns)
    if interactions is None:
        raise SourceError(f"{config.path}: neither interactions.parquet nor interactions.csv is there; write one")
    return Tables(
        interactions=interactions,
        users=_attributes(folder, "users", "user_id", config.columns),
        items=_attributes(folder, "items", "item_id", config.columns),
        media=_table(folder, "media", MEDIA, ("item_id", "modality"), config.columns),
        embeddings=_embeddings(folder, config.columns),
        neighbours=_neighbours(folder, config.columns),
        triples=_table(folder, "triples", TRIPLES, ("head_id", "relation", "tail_id"), config.columns),
        social=_table(folder, "social", SOCIAL, SOCIAL.names, config.columns),
        root=folder,
    )


def _table(
    folder: Path,
    name: str,
    schema: pa.Schema,
    required: tuple[str, ...] | list[str],
    columns: Mapping[str, str],
) -> pa.Table | None:
    raw = read_table(folder, name)
    return None if raw is None else conform(rename(raw, columns), schema, required)


def _attributes(folder: Path, name: str, key: str, columns: Mapping[str, str]) -> pa.Table | None:
    raw = read_table(folder, name)
    return None if raw is None else attributes(rename(raw, columns), key)


def _neighbours(folder: Path, columns: Mapping[str, str]) -> dict[str, pa.Table]:
    found = {m: _table(folder, f"neighbours/{m}", NEIGHBOURS, NEIGHBOURS.names, columns) for m in MODALITIES}
    return {modality: table for modality, table in found.items() if table is not None}


def _embeddings(folder: Path, columns: Mapping[str, str]) -> dict[str, pa.Table]:
    tables = {}
    for modality in MODALITIES:
        name = f"embeddings/{modality}.parquet"
        path = inside(folder, name)
        if path is not None:
            tables[modality] = vectors(rename(read_parquet(path, name), columns))
    return tables
