"""MMRec folders: one `.inter` file (`userID itemID ... x_label`) and `image_feat.npy`, `text_feat.npy`.

`x_label` 0, 1, 2 is train, valid, test. Row n of a feature file belongs to item n; rows of zeros are missing.
"""

import operator
from pathlib import Path

import numpy as np
import pyarrow as pa

from common.text import one_line
from etl.config import SourceConfig
from etl.errors import SourceError
from etl.sources.columns import cast, conform, rename
from etl.sources.files import inside, named, open_folder, read_csv
from etl.tables import INTERACTIONS, Tables
from graph.schema import MODALITIES

_COLUMNS = {"user_id": "userID", "item_id": "itemID", "weight": "rating"}
_SPLITS = {0: "train", 1: "valid", 2: "test"}


def read(config: SourceConfig) -> Tables:
    """The tables of the folder; raises `SourceError` naming file, row and column."""
    folder = open_folder(config.path)
    found = sorted(folder.glob("*.inter"), key=operator.attrgetter("name"))
    if len(found) != 1:
        raise SourceError(f"{config.path}: has {len(found)} .inter files; source.format mmrec needs exactly one")
    path = inside(folder, found[0].name)
    if path is None:
        raise SourceError(f"{found[0].name}: a link that leads nowhere; remove it")
    raw = rename(read_csv(path, path.name, delimiter="\t", quoted=False), {**_COLUMNS, **config.columns})
    table = conform(raw, INTERACTIONS, ("user_id", "item_id"))
    if "x_label" in raw.column_names:
        split = table.schema.get_field_index("split")
        table = table.set_column(split, "split", _splits(raw, path.name))
    ids = sorted(set(table["item_id"].to_pylist()) - {None})
    embeddings = {m: vectors for m in MODALITIES if (vectors := _features(folder, m)) is not None}
    counts = [len(vectors) for vectors in embeddings.values()]
    items = pa.table({"item_id": [str(i) for i in range(max(counts))]}) if counts else pa.table({"item_id": ids})
    return Tables(
        interactions=table,
        items=named(items, "items"),
        embeddings={m: _present(vectors) for m, vectors in embeddings.items()},
        root=folder,
    )


def _splits(raw: pa.Table, label: str) -> pa.Array:
    codes = cast(raw["x_label"], pa.int64(), label, "x_label").to_pylist()
    wrong = next((row for row, code in enumerate(codes) if code not in _SPLITS), None)
    if wrong is not None:
        raise SourceError(f"{label}: row {wrong + 1}, column 'x_label': {codes[wrong]!r} is not 0, 1 or 2")
    return pa.array([_SPLITS[code] for code in codes], pa.string())


def _features(folder: Path, modality: str) -> np.ndarray | None:
    name = f"{modality}_feat.npy"
    path = inside(folder, name)
    if path is None:
        return None
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise SourceError(f"{name}: not a plain NumPy array ({one_line(error)}); save it without objects") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind != "f":
        raise SourceError(f"{name}: must be a two-dimensional array of floats, items x dim")
    return array.astype(np.float32)


def _present(vectors: np.ndarray) -> pa.Table:
    rows = np.flatnonzero(vectors.any(axis=1))
    flat = pa.array(vectors[rows].ravel())
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pa.table({"item_id": pa.array([str(row) for row in rows], pa.string()), "vector": column})
