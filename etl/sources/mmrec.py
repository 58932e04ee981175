"""MMRec folders: one `.inter` file (`userID itemID ... x_label`) and `image_feat.npy`, `text_feat.npy`.

`x_label` 0, 1, 2 is train, valid, test. Row n of a feature file belongs to item n; rows of zeros are missing.
`i_id_mapping.csv` and `u_id_mapping.csv` say what items and users were called before: an attribute.
"""

import operator
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from common.text import one_line
from etl.config import SourceConfig
from etl.errors import SourceError
from etl.sources.attributes import Attributes, attributes
from etl.sources.columns import cast, conform, rename
from etl.sources.delimited import read_csv
from etl.sources.files import inside, open_folder
from etl.sources.origin import label_of, like, named, place
from etl.tables import INTERACTIONS, QUARANTINE, Tables
from graph.schema import MODALITIES

_COLUMNS = {"user_id": "userID", "item_id": "itemID", "weight": "rating"}
_SPLITS = {0: "train", 1: "valid", 2: "test"}


def read(config: SourceConfig) -> Tables:
    """The tables of the folder; raises `SourceError` naming file, row and column."""
    folder = open_folder(config.path)
    columns = {**_COLUMNS, **config.columns}
    found = sorted(folder.glob("*.inter"), key=operator.attrgetter("name"))
    if len(found) != 1:
        raise SourceError(f"{folder}: has {len(found)} .inter files; source.format mmrec needs exactly one")
    path = inside(folder, found[0].name)
    if path is None:
        raise SourceError(f"{found[0].name}: a link that leads nowhere; remove it")
    raw = rename(read_csv(path, path.name, delimiter="\t", quoted=False), columns)
    table = conform(raw, INTERACTIONS, ("user_id", "item_id"))
    if "x_label" in raw.column_names:
        split = table.schema.get_field_index("split")
        table = table.set_column(split, "split", _splits(raw))
    embeddings = {m: vectors for m in MODALITIES if (vectors := _features(folder, m)) is not None}
    mapped = {
        label: _mapping(folder, name, key, columns, config, label)
        for name, key, label in (("u_id_mapping.csv", "user_id", "User"), ("i_id_mapping.csv", "item_id", "Item"))
    }
    said = [part for part in mapped.values() if part is not None]
    items = mapped["Item"].table if mapped["Item"] else None
    if embeddings:
        _check_rows(table, embeddings)
        items = _every_row(items, max(map(len, embeddings.values())))
    elif items is None:
        ids = sorted(set(table["item_id"].to_pylist()) - {None})
        items = named(pa.table({"item_id": pa.array(ids, pa.string())}), "items")
    return Tables(
        interactions=table,
        users=mapped["User"].table if mapped["User"] else None,
        items=items,
        embeddings={m: _present(vectors) for m, vectors in embeddings.items()},
        root=folder,
        rejected=pa.concat_tables([QUARANTINE.empty_table(), *(part.rejected for part in said)]),
        notes=tuple(note for part in said for note in part.notes),
    )


def _splits(raw: pa.Table) -> pa.Array:
    codes = cast(raw["x_label"], pa.int64(), raw, "x_label").to_pylist()
    wrong = next((row for row, code in enumerate(codes) if code not in _SPLITS), None)
    if wrong is not None:
        raise SourceError(f"{place(raw, wrong, 'x.inter')}, column 'x_label': {codes[wrong]!r} is not 0, 1 or 2")
    return pa.array([_SPLITS[code] for code in codes], pa.string())


def _mapping(
    folder: Path, name: str, key: str, columns: Mapping[str, str], config: SourceConfig, label: str
) -> Attributes | None:
    """What the ids were called before, as an attribute of its column's name."""
    path = inside(folder, name)
    if path is None:
        return None
    raw = rename(read_csv(path, name, expected=(key, *columns.values())), columns)
    return attributes(raw, key, **config.attribute_types(label))


def _check_rows(table: pa.Table, embeddings: Mapping[str, np.ndarray]) -> None:
    """Row n of a feature file is item n: an id that is no row number would get another item's vector, or none."""
    modality, longest = max(embeddings.items(), key=lambda part: len(part[1]))
    ids = pl.Series(values=pl.from_arrow(table["item_id"]), dtype=pl.String)
    numbers = ids.cast(pl.Int64, strict=False)
    wrong = ids.is_not_null() & ~(
        ids.str.contains(r"^(0|[1-9][0-9]*)$") & (numbers >= 0) & (numbers < len(longest))
    ).fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise SourceError(
            f"{place(table, row, label_of(table, 'x.inter'))}, column 'itemID': {ids[row]!r} is no row number of "
            f"{modality}_feat.npy (0 to {len(longest) - 1}); number the items as its rows"
        )


def _every_row(items: pa.Table | None, count: int) -> pa.Table:
    """An item for each row of the features, with what the mapping says of it."""
    every = pl.DataFrame({"item_id": [str(i) for i in range(count)]})
    if items is None:
        return named(every.to_arrow().cast(pa.schema([("item_id", pa.string())])), "items")
    lacking = every.join(pl.DataFrame(items.select(["item_id"])), on="item_id", how="anti").to_arrow()
    added = lacking.cast(pa.schema([("item_id", pa.string())]))
    return like(pa.concat_tables([items.replace_schema_metadata(), added], promote_options="default"), items)


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
