"""RecBole atomic files: `.inter`, `.item`, `.user`, `.kg`, `.link`, tab separated, headers like `user_id:token`.

A rating becomes the weight. Interactions may come split: `x.train.inter`, `x.valid.inter`, `x.test.inter`. With a
`.link` file the ids of `.kg` are entities of their own: `.link` says which items each of them is (several, or none).
A header may say `token`, `token_seq`, `float` or `float_seq`; sequences are kept as text.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa

from etl.config import SourceConfig
from etl.errors import SourceError
from etl.interactions import SPLITS, split_called
from etl.sources.attributes import Attributes, attributes
from etl.sources.columns import conform, rename
from etl.sources.delimited import read_csv
from etl.sources.files import inside, open_folder
from etl.sources.origin import like, taken, together
from etl.tables import INTERACTIONS, QUARANTINE, TRIPLES, Tables

_TYPES = ("token", "token_seq", "float", "float_seq")
_RATING = {"weight": "rating"}
_TITLES = ("title", "movie_title", "artist_name", "name")
_LINK = pa.schema([("item_id", pa.string()), ("entity_id", pa.string())])


def read(config: SourceConfig) -> Tables:
    """The one dataset of the folder; raises `SourceError` naming file, row and column."""
    folder = open_folder(config.path)
    columns = {**_RATING, **config.columns}
    interactions = _interactions(folder, columns)
    if interactions is None:
        raise SourceError(f"{folder}: no .inter file is there; source.format recbole needs one")
    users = _attributes(_atomic(folder, "user", columns), "user_id", config, "User")
    items = _attributes(_atomic(folder, "item", columns), "item_id", config, "Item")
    found = [part for part in (users, items) if part is not None]
    return Tables(
        interactions=interactions,
        users=users.table if users else None,
        items=items.table if items else None,
        triples=_triples(folder, columns, [interactions, *([items.table] if items else [])]),
        root=folder,
        rejected=pa.concat_tables([QUARANTINE.empty_table(), *(part.rejected for part in found)]),
        notes=tuple(note for part in found for note in part.notes),
    )


def _interactions(folder: Path, columns: Mapping[str, str]) -> pa.Table | None:
    """The one `.inter` file, or those of the splits with `split` filled."""
    parts = {path.name: split_called(path.name.split(".")[-2]) for path in sorted(folder.glob("*.*.inter"))}
    splits = {name: split for name, split in parts.items() if split is not None}
    if not splits or len(list(folder.glob("*.inter"))) != len(splits):
        table = _atomic(folder, "inter", columns)
        return None if table is None else conform(table, INTERACTIONS, ("user_id", "item_id"))
    if len(set(splits.values())) < len(splits):
        raise SourceError(f"{', '.join(splits)}: two files of one split; keep one dataset in the folder")
    tables = []
    for name, split in sorted(splits.items(), key=lambda part: SPLITS.index(part[1])):
        table = conform(_one(folder, name, columns), INTERACTIONS, ("user_id", "item_id"))
        place = table.schema.get_field_index("split")
        tables.append(table.set_column(place, "split", pa.array([split] * len(table), pa.string())))
    return together(tables, "*.inter")


def _atomic(folder: Path, suffix: str, columns: Mapping[str, str]) -> pa.Table | None:
    """The folder's file with this suffix, if any."""
    found = sorted(path.name for path in folder.glob(f"*.{suffix}"))
    if not found:
        return None
    if len(found) > 1:
        raise SourceError(f"{found[0]} and {found[1]} both end in .{suffix}; keep one dataset in the folder")
    return _one(folder, found[0], columns)


def _one(folder: Path, name: str, columns: Mapping[str, str]) -> pa.Table:
    """One atomic file, its columns without the types that the header adds."""
    path = inside(folder, name)
    if path is None:
        raise SourceError(f"{name}: a link that leads nowhere; remove it")
    table = read_csv(path, name, delimiter="\t", quoted=False)
    found: dict[str, pa.ChunkedArray] = {}
    for column in table.column_names:
        plain, _, kind = column.partition(":")
        if kind not in _TYPES:
            raise SourceError(f"{name}: header {column!r} has no type; write NAME:{'|'.join(_TYPES)}")
        if plain in found:
            raise SourceError(f"{name}: column {plain!r} occurs twice; rename one of them")
        found[plain] = _numbers(table[column]) if kind == "float" else table[column]
    return rename(like(pa.table(found), table), columns)


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """What a header calls float, where every cell is one."""
    cells = pl.Series(values=pl.from_arrow(column), dtype=pl.String).str.strip_chars()
    numbers = cells.cast(pl.Float64, strict=False)
    return column if numbers.null_count() > column.null_count else pa.chunked_array([numbers.to_arrow()])


def _attributes(table: pa.Table | None, key: str, config: SourceConfig, label: str) -> Attributes | None:
    if table is None:
        return None
    known = next((name for name in _TITLES if name in table.column_names), None)
    titled = rename(table, {"title": known}) if known and label == "Item" else table
    return attributes(titled, key, **config.attribute_types(label))


def _triples(folder: Path, columns: Mapping[str, str], with_items: list[pa.Table]) -> pa.Table | None:
    graph, link = _atomic(folder, "kg", columns), _atomic(folder, "link", columns)
    if graph is None:
        return None
    table = conform(rename(graph, {"relation": "relation_id"}), TRIPLES, ("head_id", "relation", "tail_id"))
    if link is None:
        return table
    pairs = pl.DataFrame(conform(link, _LINK, _LINK.names)).drop_nulls().unique(maintain_order=True)
    items = pl.concat([pl.DataFrame(t.select(["item_id"])) for t in with_items] + [pairs.select("item_id")]).unique()
    rows = pl.DataFrame(table).with_row_index("_row")
    rows = _linked(_linked(rows, "head", pairs, items), "tail", pairs, items)
    rows = rows.unique(TRIPLES.names[:3], keep="first", maintain_order=True)
    return taken(rows.select(TRIPLES.names).to_arrow().cast(TRIPLES), table, rows["_row"].to_list())


def _linked(rows: pl.DataFrame, end: str, pairs: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """One row for each item that an end is; an entity that is none keeps its id, apart from items of the same name."""
    name, kind = f"{end}_id", f"{end}_type"
    joined = rows.join(pairs.rename({"item_id": "_item"}), left_on=name, right_on="entity_id", how="left")
    own = pl.when(pl.col(name).is_in(items["item_id"].implode())).then("entity:" + pl.col(name)).otherwise(name)
    is_item = pl.col("_item").is_not_null()
    return joined.with_columns(
        pl.coalesce("_item", own).alias(name),
        pl.when(is_item).then(pl.lit("Item")).otherwise(kind).alias(kind),
        **({"tail_name": pl.coalesce("tail_name", pl.when(~is_item).then(name))} if end == "tail" else {}),
    ).drop("_item")
