"""What may enter the graph: rows that break are left out with a precise reason, or stop a strict build.

Which rows break: an empty id; a timestamp that no calendar holds; a weight that is not finite; a split that is none
of train, valid, test; a pair that stands in an earlier split too (train before valid before test, so that nothing
held out is also trained on); users, items, media, triples and friends that repeat a row; neighbours of unknown items
or of themselves; vectors that are all zero or not finite (a missing modality); media without exactly one of `uri`
and `content`. Interactions of one pair are counted (`etl.interactions`). Ids that the users or items table lacks are
added to it; a strict build stops there. A file of which no row is left stops every build.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pyarrow as pa

from etl.config import WeightConfig
from etl.errors import SourceError
from etl.id_checks import id_notes
from etl.interactions import SPLITS, called, counted, in_seconds
from etl.sources.origin import label_of, places, settled
from etl.tables import INTERACTIONS, MEDIA, NEIGHBOURS, QUARANTINE, SOCIAL, TRIPLES, Tables
from graph.schema import MODALITIES

_FIRST_SECOND = -62_135_596_800
"""0001-01-01, as below."""
_LAST_SECOND = 253_402_300_799
"""9999-12-31, the last second that calendars of every store agree on."""

Check = tuple[pl.Expr, pl.Expr]
"""A condition under which a row is left out, and the reason as text."""


def validate(
    tables: Tables, *, strict: bool, weight: WeightConfig | None = None, elsewhere: Collection[str] = ()
) -> Tables:
    """The tables without the rows that break; those are in `rejected` with file, row and reason.

    `elsewhere` are items that the tables lack and that are known all the same, as neighbours of theirs.

    Raises `SourceError` for a column of a wrong type and a file without one good row always, and for the first bad
    row under `strict`.
    """
    _check_types(tables)
    if strict and len(tables.rejected):
        raise SourceError(f"{tables.rejected['reason'][0]}; correct it or leave strict out")
    sieve = _Sieve(strict, [tables.rejected])
    notes = list(tables.notes)
    users = _unique(sieve, tables.users, "users", "user_id")
    items = _unique(sieve, tables.items, "items", "item_id")
    interactions = _interactions(sieve, called(in_seconds(tables.interactions, notes.append)))
    interactions = counted(interactions, weight or WeightConfig(), notes.append)
    media = _media(sieve, tables.media)
    embeddings = {m: _vectors(sieve, table, m) for m, table in tables.embeddings.items()}
    social = _pairs(sieve, tables.social, "social", "user_id", "friend_id")
    user_columns = [(interactions, "user_id")] + ([(social, "user_id"), (social, "friend_id")] if social else [])
    notes += id_notes(tables, interactions)
    users = _complete(strict, users, "user_id", user_columns, "users")
    item_columns = [(interactions, "item_id"), *((t, "item_id") for t in embeddings.values())]
    items = _complete(strict, items, "item_id", item_columns + ([(media, "item_id")] if media else []), "items")
    known = {*items["item_id"].to_pylist(), *elsewhere}
    neighbours = {m: _neighbours(sieve, table, m, known) for m, table in tables.neighbours.items()}
    triples = None if tables.triples is None else _triples(sieve, tables.triples)
    return replace(
        tables,
        interactions=interactions,
        users=users,
        items=items,
        media=media,
        embeddings=embeddings,
        neighbours=neighbours,
        triples=triples,
        social=social,
        rejected=pa.concat_tables(sieve.rejected),
        notes=tuple(dict.fromkeys(notes)),
    )


@dataclass
class _Sieve:
    """Drops rows and keeps their reasons."""

    strict: bool
    rejected: list[pa.Table]

    def drop(
        self,
        table: pa.Table,
        name: str,
        checks: Sequence[Check],
        *,
        key: Sequence[str] = (),
        modality: str | None = None,
    ) -> pa.Table:
        """The rows that pass every check and are the first of their `key`, where one is given."""
        files, lines = places(table, name)
        marked = self._mark(table, checks, key, files, lines)
        bad = marked.filter(pl.col("_reason").is_not_null())
        if not len(bad):
            return settled(table)
        where = pl.format("{}: row {}: {}", pl.col("_file"), pl.col("_line"), pl.col("_reason"))
        nothing = pl.lit(None, pl.String)
        rows = bad.select(
            item_id=pl.col("item_id") if "item_id" in bad.columns else nothing,
            modality=pl.col("modality") if "modality" in bad.columns else pl.lit(modality, pl.String),
            uri=pl.col("uri") if "uri" in bad.columns else nothing,
            reason=where,
        )
        if self.strict:
            raise SourceError(f"{rows['reason'][0]}; correct it or leave strict out")
        if len(bad) == len(table):
            raise SourceError(f"{label_of(table, name)}: {_all_refused(rows['reason'])}")
        self.rejected.append(rows.to_arrow().cast(QUARANTINE))
        return settled(table.take(pa.array(marked.filter(pl.col("_reason").is_null())["_row"].to_numpy())))

    @staticmethod
    def _mark(
        table: pa.Table, checks: Sequence[Check], key: Sequence[str], files: pl.Series, lines: pl.Series
    ) -> pl.DataFrame:
        frame = pl.DataFrame(table.drop_columns(["vector"]) if "vector" in table.column_names else table)
        reason = pl.coalesce([pl.when(condition).then(text) for condition, text in checks])
        marked = frame.with_row_index("_row").with_columns(_file=files, _line=lines, _reason=reason)
        if not key:
            return marked
        ranked = [pl.col("_reason").is_not_null(), pl.col("_row")]
        first = {name: pl.col(name).sort_by(ranked).first().over(key) for name in ("_row", "_line")}
        repeated = pl.when(pl.col("_row") != first["_row"]).then(pl.format("repeats row {}", first["_line"]))
        return marked.with_columns(_reason=pl.coalesce("_reason", repeated))


def _all_refused(reasons: pl.Series) -> str:
    """Why no row of a file is left, told by the reason that most rows have."""
    kinds = reasons.str.replace(r"^.*?: row [0-9]+: ", "").str.replace_all(r"[0-9]+", "0")
    most = kinds.alias("kind").value_counts().sort("count", "kind", descending=[True, False])["kind"][0]
    first = reasons.filter(kinds == most)[0]
    return f"all {len(reasons):,} rows are refused ({(kinds == most).sum():,} like {first!r}); correct them"


def _interactions(sieve: _Sieve, table: pa.Table) -> pa.Table:
    split, time = pl.col("split"), pl.col("timestamp")
    has_split = table["split"].null_count < len(table)
    checks = [
        _empty("user_id"),
        _empty("item_id"),
        (time < _FIRST_SECOND, pl.format("timestamp {} is before the year 1", time)),
        (
            time > _LAST_SECOND,
            pl.format("timestamp {} is after the year 9999; are these milliseconds?", time),
        ),
        (~pl.col("weight").is_finite(), pl.format("weight {} is not finite", pl.col("weight"))),
        (
            split.is_not_null() & ~split.is_in(SPLITS),
            pl.format("split '{}' is not train, valid or test", split),
        ),
        (split.is_null() & pl.lit(has_split), pl.lit("split is empty where other rows have one")),
    ]
    good = ~pl.any_horizontal(condition.fill_null(False) for condition, _ in checks)
    rank = split.replace_strict(list(SPLITS), [0, 1, 2], default=None, return_dtype=pl.Int8)
    first = pl.when(good).then(rank).min().over("user_id", "item_id")
    named = first.replace_strict([0, 1, 2], list(SPLITS), default=None, return_dtype=pl.String)
    checks.append((rank > first, pl.format("the pair is in split {} too", named)))
    return sieve.drop(table, "interactions", checks)


def _unique(sieve: _Sieve, table: pa.Table | None, name: str, key: str) -> pa.Table | None:
    if table is None:
        return None
    return sieve.drop(table, name, [_empty(key)], key=[key])


def _media(sieve: _Sieve, table: pa.Table | None) -> pa.Table | None:
    if table is None:
        return None
    modality, uri, content = pl.col("modality"), pl.col("uri"), pl.col("content")
    named = (uri.fill_null("") != "") | (content.fill_null("") != "")
    checks = [
        _empty("item_id"),
        (
            ~modality.is_in(MODALITIES).fill_null(False),
            pl.format("modality '{}' is not text, image or audio", modality.fill_null("")),
        ),
        (~named, pl.lit("neither uri nor content is set")),
        (uri.is_not_null() & content.is_not_null(), pl.lit("both uri and content are set; keep one")),
        (content.is_not_null() & (modality != "text"), pl.lit("content is for text; give a uri")),
    ]
    return sieve.drop(table, "media", checks, key=["item_id", "modality", "uri", "content", "role"])


def _vectors(sieve: _Sieve, table: pa.Table, modality: str) -> pa.Table:
    column = table["vector"].combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) and column.num_chunks else column
    present = column.is_valid().to_numpy(zero_copy_only=False)
    dim = column.type.list_size
    values = np.zeros((len(column), dim), np.float32)
    values[present] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)
    checks = [
        _empty("item_id"),
        (pl.lit(pl.Series(~present)), pl.lit("vector is empty")),
        (
            pl.lit(pl.Series(~np.isfinite(values).all(axis=1))),
            pl.lit("vector holds a number that is not finite"),
        ),
        (
            pl.lit(pl.Series(~values.any(axis=1))),
            pl.lit("vector is all zero; a missing modality is a missing row"),
        ),
    ]
    return sieve.drop(table, f"embeddings/{modality}", checks, key=["item_id"], modality=modality)


def _neighbours(sieve: _Sieve, table: pa.Table, modality: str, known: set[str]) -> pa.Table:
    item, other, score = pl.col("item_id"), pl.col("neighbour_id"), pl.col("score")
    ids = pl.Series(values=sorted(known), dtype=pl.String).implode()
    checks = [
        _empty("item_id"),
        _empty("neighbour_id"),
        (~item.is_in(ids), pl.format("item '{}' is not in the catalogue", item)),
        (~other.is_in(ids), pl.format("neighbour '{}' is not in the catalogue", other)),
        (item == other, pl.format("item '{}' is its own neighbour", item)),
        (~score.is_finite().fill_null(False), pl.lit("score is empty or not finite")),
    ]
    key = ["item_id", "neighbour_id"]
    return sieve.drop(table, f"neighbours/{modality}", checks, key=key, modality=modality)


def _triples(sieve: _Sieve, table: pa.Table) -> pa.Table:
    key = ["head_id", "relation", "tail_id"]
    return sieve.drop(table, "triples", [_empty(column) for column in key], key=key)


def _pairs(sieve: _Sieve, table: pa.Table | None, name: str, source: str, target: str) -> pa.Table | None:
    if table is None:
        return None
    a, b = pl.col(source), pl.col(target)
    checks = [
        _empty(source),
        _empty(target),
        (a == b, pl.format("user '{}' follows itself", a)),
    ]
    return sieve.drop(table, name, checks, key=[source, target])


def _complete(
    strict: bool, table: pa.Table | None, key: str, columns: Sequence[tuple[pa.Table, str]], name: str
) -> pa.Table:
    """Add the ids that other tables name; sorted, with null attributes."""
    named = {value for other, column in columns for value in other[column].unique().to_pylist()}
    if table is None:
        return pa.table({key: pa.array(sorted(named), pa.string())})
    unknown = sorted(named - set(table[key].to_pylist()))
    if not unknown:
        return table
    if strict:
        raise SourceError(
            f"{label_of(table, name)}: {key} {unknown[0]!r} is missing but used; add it or leave strict out"
        )
    added = pa.table({key: pa.array(unknown, pa.string())})
    return pa.concat_tables([table, added.replace_schema_metadata(table.schema.metadata)], promote_options="default")


def _empty(column: str) -> Check:
    return (pl.col(column).fill_null("") == "", pl.lit(f"{column} is empty"))


def _check_types(tables: Tables) -> None:
    wanted = [("interactions", tables.interactions, INTERACTIONS), ("media", tables.media, MEDIA)]
    wanted += [("triples", tables.triples, TRIPLES), ("social", tables.social, SOCIAL)]
    wanted += [(f"neighbours/{m}", table, NEIGHBOURS) for m, table in tables.neighbours.items()]
    for name, table, schema in wanted:
        if table is not None and not table.schema.equals(schema, check_metadata=False):
            wrong = next((f for f in schema if f not in list(table.schema)), schema[0])
            raise SourceError(f"{label_of(table, name)}: column {wrong.name!r} must have type {wrong.type}; cast it")
    for modality, table in tables.embeddings.items():
        if not pa.types.is_fixed_size_list(table.schema.field("vector").type):
            kind = table.schema.field("vector").type
            raise SourceError(f"embeddings/{modality}: column 'vector' has type {kind}; write fixed-size float32 lists")
