"""Values that a model wrote, as entities: one for all spellings, and the catalogue's own where it has one."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from encoders.base import Encoder
from encoders.limits import DecodeLimits
from etl.config import NeighbourConfig
from etl.enrichment.config import RelationConfig
from etl.nearest_neighbours import nearest
from etl.tables import Tables

_ALIKE = 20
"""Spellings looked at that may be the same as one."""


class Entity(NamedTuple):
    """The end of a fact."""

    id: str
    name: str
    type: str


Value = tuple[str, str]
"""A relation and a value."""


def entities_of(
    values: Iterable[Value],
    relations: Mapping[str, RelationConfig],
    tables: Tables,
    *,
    known: pa.Table | None = None,
    encoder: Encoder | None = None,
    same_over: float | None = None,
) -> dict[Value, Entity]:
    """An entity for each value, the same for the same values in any order.

    `known` (`id`, `name`, `type`) are entities that the graph has besides those of `tables`. With an `encoder`, values
    of one type whose vectors are `same_over` alike are one.
    """
    counts = Counter(values)
    typed: dict[str, Counter[str]] = {}
    for (relation, value), count in counts.items():
        typed.setdefault(_type(relation, relations), Counter())[value] += count
    spelt = {kind: _spellings(found) for kind, found in typed.items()}
    if encoder is not None and same_over is not None:
        spelt = {kind: _alike(found, typed[kind], encoder, same_over) for kind, found in spelt.items()}
    own = _own(tables, known)
    resolved = {}
    for relation, value in counts:
        kind = _type(relation, relations)
        name = spelt[kind][value]
        held = own.by_type.get((kind, normal(name))) or own.by_relation.get((relation, normal(name)))
        resolved[relation, value] = held or Entity(_new_id(kind, name, own.ids), name, kind)
    return resolved


def normal(name: str) -> str:
    """One form for spellings that differ in case, width, spaces, or an English plural."""
    words = unicodedata.normalize("NFKC", name).casefold().replace("-", " ").split()
    return " ".join([*words[:-1], _singular(words[-1])]) if words else ""


def _singular(word: str) -> str:
    if len(word) < 4 or not word.isascii() or word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "xes", "zes", "ches", "shes")) else word[:-1]


def _type(relation: str, relations: Mapping[str, RelationConfig]) -> str:
    return relations[relation].type or relation


def _spellings(counts: Counter[str]) -> dict[str, str]:
    """Value -> the most frequent spelling of the same, of several the first in order."""
    best: dict[str, str] = {}
    for value in sorted(counts, key=lambda value: (-counts[value], value)):
        best.setdefault(normal(value), value)
    return {value: best[normal(value)] for value in counts}


def _alike(spelt: dict[str, str], counts: Counter[str], encoder: Encoder, same_over: float) -> dict[str, str]:
    """Further values made one, the rarer ones as the most frequent that is alike."""
    sums: Counter[str] = Counter()
    for value, name in spelt.items():
        sums[name] += counts[value]
    names = sorted(sums, key=lambda name: (-sums[name], name))
    prepared = [encoder.prepare(name, "text", DecodeLimits()).array for name in names]
    vectors = encoder.encode(prepared, "text")
    pairs = nearest(names, vectors, NeighbourConfig(k=_ALIKE, min_score=same_over))
    near: dict[str, list[str]] = {}
    for pair in pairs.to_pylist():
        near.setdefault(pair["source"], []).append(pair["target"])
    meant: dict[str, str] = {}
    for name in names:  # the most frequent first: it stays what it is
        meant[name] = next((other for other in near.get(name, ()) if meant.get(other) == other), name)
    return {value: meant[name] for value, name in spelt.items()}


class _Own(NamedTuple):
    by_type: Mapping[tuple[str, str], Entity]
    by_relation: Mapping[tuple[str, str], Entity]
    ids: Mapping[str, str]
    """Id -> name in its normal form."""


def _own(tables: Tables, known: pa.Table | None) -> _Own:
    """The entities that facts of the catalogue and of the graph lead to; of several alike the first by id."""
    schema = {"relation": pl.String, "id": pl.String, "name": pl.String, "type": pl.String}
    frames = [pl.DataFrame(schema=schema)]
    if tables.triples is not None:
        rows = pl.DataFrame(tables.triples).filter((pl.col("tail_type") != "Item").fill_null(True))
        frames.append(rows.select("relation", id="tail_id", name="tail_name", type="tail_type"))
    if known is not None:
        rows = pl.DataFrame(known).filter((pl.col("type") != "Item").fill_null(True))
        frames.append(rows.select(pl.lit(None, pl.String).alias("relation"), "id", "name", "type"))
    by_type: dict[tuple[str, str], Entity] = {}
    by_relation: dict[tuple[str, str], Entity] = {}
    ids: dict[str, str] = {}
    for row in pl.concat(frames).unique().sort("id", "relation", "name", "type", nulls_last=True).to_dicts():
        name = row["name"] or row["id"]
        entity = Entity(row["id"], name, row["type"] or "")
        ids.setdefault(row["id"], normal(name))
        if row["type"]:
            by_type.setdefault((row["type"], normal(name)), entity)
        if row["relation"]:
            by_relation.setdefault((row["relation"], normal(name)), entity)
    return _Own(by_type, by_relation, ids)


def _new_id(kind: str, name: str, taken: Mapping[str, str]) -> str:
    """Readable, and never an entity's that is called otherwise."""
    identifier = f"{kind}:{normal(name)}"
    return identifier if taken.get(identifier, normal(name)) == normal(name) else f"{identifier} (generated)"
