"""Whether tables mean the same things by their ids: sentences about those that do not meet."""

from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from etl.sources.origin import label_of
from etl.tables import Tables

_FEW = 0.1
"""Share of ids under which two tables are not just incomplete."""


def id_notes(tables: Tables, interactions: pa.Table) -> list[str]:
    """Sentences on ids that few tables share, that only interactions name, or that a gap in a column made `10.0`."""
    return [
        *_sides(tables.users, _also("social", tables.social), interactions, "user"),
        *_sides(tables.items, _also("media", tables.media) | _vectors(tables), interactions, "item"),
        *_heads(tables, interactions),
        *_decimal(tables, interactions, "user_id", [tables.users, tables.social]),
        *_decimal(tables, interactions, "item_id", [tables.items, tables.media, *tables.embeddings.values()]),
    ]


def _also(name: str, table: pa.Table | None) -> dict[str, pa.Table]:
    return {} if table is None or not len(table) else {label_of(table, name): table}


def _vectors(tables: Tables) -> dict[str, pa.Table]:
    return {label_of(table, f"embeddings/{m}"): table for m, table in tables.embeddings.items() if len(table)}


def _sides(table: pa.Table | None, others: dict[str, pa.Table], interactions: pa.Table, kind: str) -> Iterator[str]:
    key = f"{kind}_id"
    used = _ids(interactions, key)
    if not len(used):
        return
    log = label_of(interactions, "interactions")
    known = pl.Series([], dtype=pl.String) if table is None else _ids(table, key)
    everywhere = pl.concat([used, known])
    for label, other in (_also(f"{kind}s", table) | others).items():
        ids = _ids(other, key)
        common = int(ids.is_in(used.implode()).sum())
        alone = ids.filter(~ids.is_in(everywhere.implode()))
        if len(ids) and common >= _FEW * len(ids) and len(alone):
            yield f"{_number(alone, kind)} in no table but {label}"
        elif len(ids) and common < _FEW * len(ids):
            yield (
                f"{_percent(common, len(ids))} of the {kind}s in {label} occur in {log} "
                f"({ids[0]!r} there, {used[0]!r} here): are the ids written alike?"
            )
    if table is None or not len(table):
        return
    unknown = used.filter(~used.is_in(known.implode()))
    label = label_of(table, f"{kind}s")
    if len(unknown) > (1 - _FEW) * len(used):
        share = _percent(len(used) - len(unknown), len(used))
        yield f"{share} of the {kind}s in {log} are in {label} ({unknown[0]!r} is not): are the ids written alike?"
    elif len(unknown):
        yield f"{_number(unknown, kind)} in {log} and not in {label}: no attributes there"


def _number(ids: pl.Series, kind: str) -> str:
    shown = ", ".join(map(repr, ids.head(3).to_list()))
    return f"1 {kind} ({shown}) is" if len(ids) == 1 else f"{len(ids):,} {kind}s ({shown}) are"


def _heads(tables: Tables, interactions: pa.Table) -> Iterator[str]:
    """Triples whose heads are no items leave the items without knowledge."""
    if tables.triples is None or not len(tables.triples):
        return
    items = pl.concat([_ids(t, "item_id") for t in (interactions, tables.items) if t is not None])
    heads, tails = _ids(tables.triples, "head_id"), _ids(tables.triples, "tail_id")
    if len(items) and not heads.is_in(items.implode()).any() and not tails.is_in(items.implode()).any():
        label = label_of(tables.triples, "triples")
        yield f"no head in {label} is an item ({heads[0]!r} there, {items[0]!r} is one): are the ids written alike?"


def _decimal(tables: Tables, interactions: pa.Table, key: str, others: list[pa.Table | None]) -> Iterator[str]:
    ids = pl.concat([_ids(t, key) for t in (interactions, *others) if t is not None]).unique(maintain_order=True)
    pointed = ids.filter(ids.str.contains(r"^[0-9]+\.0+$"))
    plain = pointed.str.replace(r"\.0+$", "")
    beside = pointed.filter(plain.is_in(ids.implode()))
    if len(beside):
        one = beside[0].partition(".")[0]
        yield (
            f"{key} {beside[0]!r} stands beside {one!r} ({len(beside):,} such ids): two {key.removesuffix('_id')}s; "
            "a gap made the column decimal: write it as whole numbers"
        )


def _ids(table: pa.Table, key: str) -> pl.Series:
    return pl.Series(values=pl.from_arrow(table[key].unique()), dtype=pl.String).drop_nulls().sort()


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if part else "none"
