"""Nearest neighbours as they were last found: a build whose vectors did not change compares none."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from common.files import write_whole
from etl.config import NeighbourConfig
from etl.media import MediaVectors

_VERSION = 1
_KEY = b"modalweave.links"


def kept_links(
    folder: Path | None,
    name: str,
    vectors: tuple[MediaVectors, ...],
    config: NeighbourConfig,
    find: Callable[[], pa.Table],
) -> pa.Table:
    """What `find` gives, or gave last time under this `name` for the same vectors and settings; `folder` keeps it.

    A file that is damaged or of another version counts as none.
    """
    if folder is None:
        return find()
    path, key = folder / f"{name}.parquet", _key(vectors, config)
    try:
        table = pq.read_table(path) if pq.read_metadata(path).metadata.get(_KEY) == key else None
    except (OSError, pa.ArrowInvalid, AttributeError):
        table = None
    if table is None:
        table = find()
        write_whole(path, lambda partial: pq.write_table(table.replace_schema_metadata({_KEY: key}), partial))
    return table.replace_schema_metadata()


def _key(vectors: tuple[MediaVectors, ...], config: NeighbourConfig) -> bytes:
    """A hash of all that decides the links."""
    digest = hashlib.sha256(json.dumps([_VERSION, config.model_dump(mode="json")]).encode())
    for own in vectors:
        digest.update(json.dumps([own.encoder, own.ids, own.vectors.shape]).encode())
        digest.update(own.vectors.astype("<f4").tobytes())
    return digest.hexdigest().encode()
