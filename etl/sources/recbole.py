"""RecBole atomic files: `.inter`, `.item`, `.user`, `.kg`, `.link`, tab separated, headers like `user_id:token`.

A rating becomes the weight. `.link` names the entity that an item is; triples about it are then about the item.
A header may say `token`, `token_seq`, `float` or `float_seq`; sequences are kept as text.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from etl.config import SourceConfig
from etl.errors import SourceError
from etl.sources.columns import attributes, conform, rename
from etl.sources.files import inside, label_of, named, open_folder, read_csv
from etl.tables import INTERACTIONS, TRIPLES, Tables

_TYPES = ("token", "token_seq", "float", "float_seq")
_RATING = {"weight": "rating"}
_TITLES = ("title", "movie_title", "artist_name", "name")


def read(config: SourceConfig) -> Tables:
    """The one dataset of the folder; raises `SourceError` naming file, row and column."""
    folder = open_folder(config.path)
    columns = {**_RATING, **config.columns}
    interactions = _atomic(folder, "inter", columns)
    if interactions is None:
        raise SourceError(f"{config.path}: no .inter file is there; source.format recbole needs one")
    users, items = _atomic(folder, "user", columns), _atomic(folder, "item", columns)
    return Tables(
        interactions=conform(interactions, INTERACTIONS, ("user_id", "item_id")),
        users=None if users is None else attributes(users, "user_id"),
        items=None if items is None else attributes(_titled(items), "item_id"),
        triples=_triples(_atomic(folder, "kg", columns), _atomic(folder, "link", columns)),
        root=folder,
    )


def _atomic(folder: Path, suffix: str, columns: Mapping[str, str]) -> pa.Table | None:
    """The folder's file with this suffix, its columns without the types that the header adds."""
    found = sorted(path.name for path in folder.glob(f"*.{suffix}"))
    if not found:
        return None
    if len(found) > 1:
        raise SourceError(f"{found[0]} and {found[1]} both end in .{suffix}; keep one dataset in the folder")
    path = inside(folder, found[0])
    if path is None:
        raise SourceError(f"{found[0]}: a link that leads nowhere; remove it")
    table = read_csv(path, found[0], delimiter="\t", quoted=False)
    names = []
    for column in table.column_names:
        name, _, kind = column.partition(":")
        if kind not in _TYPES:
            raise SourceError(f"{found[0]}: header {column!r} has no type; write NAME:{'|'.join(_TYPES)}")
        names.append(name)
    return rename(named(table.rename_columns(names), found[0]), columns)


def _titled(items: pa.Table) -> pa.Table:
    known = next((name for name in _TITLES if name in items.column_names), None)
    return items if known is None else rename(items, {"title": known})


def _triples(graph: pa.Table | None, link: pa.Table | None) -> pa.Table | None:
    if graph is None:
        return None
    table = conform(
        rename(graph, {"relation": "relation_id"}),
        TRIPLES,
        ("head_id", "relation", "tail_id"),
    )
    if link is None:
        return table
    pairs = conform(link, pa.schema([("item_id", pa.string()), ("entity_id", pa.string())]), ("item_id", "entity_id"))
    items = dict(zip(pairs["entity_id"].to_pylist(), pairs["item_id"].to_pylist(), strict=True))
    for end, kind in (("head_id", "head_type"), ("tail_id", "tail_type")):
        ids = table[end].to_pylist()
        types = pa.array(["Item" if name in items else None for name in ids], pa.string())
        table = _put(table, end, pa.array([items.get(name, name) for name in ids], pa.string()))
        table = _put(table, kind, pc.coalesce(types, table[kind].combine_chunks()))
    return named(table, label_of(graph, "kg"))


def _put(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)
