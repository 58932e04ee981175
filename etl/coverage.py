"""What a catalogue has and what it lacks, modality by modality, before anything is trained on it.

`coverage` turns plain tables into one JSON-able dict; `etl.coverage_report` draws it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from etl.coverage_warnings import plain_warnings
from etl.drift import drift
from etl.refused import kinds, refused

Vectors = tuple[Sequence[str], NDArray[np.float32]]

_QUANTILES = {"min": 0.0, "p5": 0.05, "median": 0.5, "p95": 0.95, "max": 1.0}
_NUMBERS: Mapping[str, type[pl.DataType]] = {"timestamp": pl.Int64, "weight": pl.Float64}
_CROWDED = 50
"""Items on one media node above which its links say nothing of likeness (a placeholder picture)."""


def coverage(
    interactions: pa.Table,
    items: Sequence[str],
    media: Mapping[str, pa.Table],
    facts: Mapping[str, pa.Table] | None = None,
    vectors: Mapping[str, Vectors] | None = None,
    similar: Mapping[str, pa.Table] | None = None,
    quarantine: pa.Table | None = None,
    *,
    users: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Describe a catalogue; counts of interactions are over `split = train` where a split exists.

    Args:
        interactions: `user_id`, `item_id`, and `timestamp` (s), `weight`, `split` where known; a weight of 0 or less
            is no interaction to learn from.
        items: every item id of the catalogue.
        media: modality -> `id` (of the media node), `item_id`; one row for each link.
        facts: modality -> `id` and any of `lang`, `width` and `height` (pixels), `duration` (s),
            `sample_rate` (Hz).
        vectors: modality -> (media ids, float32 [n, dim]).
        similar: modality -> `source`, `target` (media ids), `score`.
        quarantine: `item_id`, `modality`, `uri`, `reason`.
        users: every user id, where users without interactions exist.
        notes: what was said while the source was read; it opens the warnings.
    """
    facts, vectors, similar = facts or {}, vectors or {}, similar or {}
    frame = _frame(interactions, ("user_id", "item_id", "timestamp", "weight", "split"))
    liked = frame.filter(pl.col("weight").fill_null(1.0) > 0)
    train = liked if frame["split"].null_count() == len(frame) else liked.filter(pl.col("split") == "train")
    catalogue = pl.DataFrame({"item_id": list(items)}, schema={"item_id": pl.String}).unique()
    links = {m: _frame(t, ("id", "item_id")).unique() for m, t in media.items()}
    used = catalogue.join(train.select("item_id").unique(), on="item_id", how="semi")
    with_media = _stack([link.select("item_id") for link in links.values()], "item_id")
    unused = catalogue.join(used, on="item_id", how="anti")
    known = set(frame["user_id"]) | set(users)
    report: dict[str, Any] = {
        "items": len(catalogue),
        "users": len(known),
        "interactions": len(frame),
        "train_interactions": len(train),
        "not_liked": len(frame) - len(liked),
        "items_without_interactions": len(unused),
        "items_without_interactions_or_media": len(unused.join(with_media, on="item_id", how="anti")),
        "users_without_interactions": len(known) - train["user_id"].n_unique(),
        "per_item": _profile(train["item_id"]),
        "per_user": _profile(train["user_id"]),
        "time": _time_span(frame["timestamp"]),
        "without_time": frame["timestamp"].null_count(),
        "drift": (moved := drift(liked)) and moved._asdict(),
        "modalities": {
            m: _modality(links[m], catalogue, train) | _facts(facts.get(m), links[m]) | _vectors(vectors.get(m))
            for m in links
        },
        "agreement": _agreement(links, similar, len(catalogue)),
        "quarantined": _quarantined(quarantine),
        "refused": refused(quarantine),
    }
    return report | {"warnings": [*notes, *plain_warnings(report)]}


def _frame(table: pa.Table, columns: Sequence[str]) -> pl.DataFrame:
    """The named columns, ids and words as strings; one that the table lacks is null."""
    present = pl.from_arrow(table.select([c for c in columns if c in table.column_names]))
    assert isinstance(present, pl.DataFrame)
    types = {c: _NUMBERS.get(c, pl.String) for c in columns}
    absent = (pl.lit(None, types[c]).alias(c) for c in columns if c not in present.columns)
    return present.with_columns(absent).cast({c: types[c] for c in columns})


def _stack(frames: Sequence[pl.DataFrame], column: str) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema={column: pl.String}), *frames]).unique()


def _modality(links: pl.DataFrame, catalogue: pl.DataFrame, train: pl.DataFrame) -> dict[str, Any]:
    """Who has the modality, and how many items share a media node."""
    having = catalogue.join(links.select("item_id").unique(), on="item_id", how="semi")
    per_node = links.group_by("id").agg(pl.col("item_id").n_unique().alias("n"))
    shared = per_node.filter(pl.col("n") > 1)
    covered = train.join(having, on="item_id", how="semi")
    return {
        "items": len(having),
        "share_of_items": _share(len(having), len(catalogue)),
        "share_of_interactions": _share(len(covered), len(train)),
        "media": len(per_node),
        "shared_media": len(shared),
        "items_sharing": links.join(shared, on="id", how="semi")["item_id"].n_unique(),
        "most_items_on_one": int(per_node["n"].max() or 0),  # type: ignore[arg-type]
    }


def _facts(table: pa.Table | None, links: pl.DataFrame) -> dict[str, Any]:
    """Languages, sizes and durations of the media nodes that some item has."""
    if table is None:
        return {}
    known = pl.from_arrow(table)
    assert isinstance(known, pl.DataFrame)
    frame = known.unique("id").join(links, on="id", how="semi")
    found: dict[str, Any] = {}
    for name in ("width", "height", "duration"):
        values = frame[name].drop_nulls().to_numpy() if name in frame.columns else np.empty(0)
        if len(values):
            found[name] = _quantiles(values)
    for name, label in (("lang", "languages"), ("sample_rate", "sample_rates")):
        counts = _counts(frame[name].drop_nulls().cast(pl.String)) if name in frame.columns else {}
        if counts:
            found[label] = counts
    return found


def _vectors(given: Vectors | None) -> dict[str, Any]:
    """Norms, and anisotropy as the exact mean cosine over all pairs of different vectors.

    Ethayarajh, "How contextual are contextualized word representations?", 2019; the mean needs no sampling:
    for unit vectors u, the sum over pairs i != j of u_i.u_j is |sum u|^2 - n.
    """
    if given is None or not len(given[0]):
        return {}
    matrix = np.asarray(given[1], dtype=np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    kept = norms > 0
    count = int(kept.sum())
    total = (matrix[kept] / norms[kept, None]).sum(axis=0, dtype=np.float64)
    cosine = (float(total @ total) - count) / (count * (count - 1)) if count > 1 else None
    described = {
        "count": len(matrix),
        "dim": int(matrix.shape[1]),
        "norm": _quantiles(norms),
        "mean_cosine": cosine,
    }
    return {"vectors": described}


def _agreement(links: Mapping[str, pl.DataFrame], similar: Mapping[str, pa.Table], items: int) -> list[dict[str, Any]]:
    """Mean Jaccard of two modalities' neighbour lists over the items with both, beside what chance gives."""
    lists = {m: _item_neighbours(links[m], similar[m]) for m in links if m in similar}
    sizes = {m: frame.group_by("item").len() for m, frame in lists.items()}
    rows = []
    for a, b in combinations(lists, 2):
        both = sizes[a].join(sizes[b], on="item", suffix="_b")
        if both.is_empty() or items < 2:
            continue
        common = lists[a].join(lists[b], on=["item", "neighbour"], how="semi").group_by("item").len("common")
        sized = both.join(common, on="item", how="left").with_columns(pl.col("common").fill_null(0)).sort("item")
        left, right, hits = (sized[c].to_numpy().astype(np.float64) for c in ("len", "len_b", "common"))
        by_chance = left * right / (items - 1)
        rows.append(
            {
                "between": [a, b],
                "items": len(sized),
                "jaccard": float((hits / (left + right - hits)).mean()),
                "chance": float((by_chance / np.maximum(left + right - by_chance, 1e-9)).mean()),
            }
        )
    return rows


def _item_neighbours(links: pl.DataFrame, similar: pa.Table) -> pl.DataFrame:
    """`item`, `neighbour`: items whose media are linked; media on very many items are left out."""
    crowded = links.group_by("id").len().filter(pl.col("len") > _CROWDED)
    links = links.join(crowded, on="id", how="anti")
    edges = _frame(similar, ("source", "target")).unique()
    pairs = edges.join(links.rename({"id": "source", "item_id": "item"}), on="source")
    pairs = pairs.join(links.rename({"id": "target", "item_id": "neighbour"}), on="target")
    return pairs.filter(pl.col("item") != pl.col("neighbour")).select("item", "neighbour").unique()


def _quarantined(table: pa.Table | None) -> dict[str, Any]:
    """Counts by modality and by kind of reason: the reason up to its colon, without place, numbers or names."""
    if table is None or not table.num_rows:
        return {"total": 0, "by_modality": {}, "by_kind": {}}
    modalities = _frame(table, ("modality",))["modality"].fill_null("rows").replace("", "rows")
    return {"total": len(table), "by_modality": _counts(modalities), "by_kind": _counts(kinds(table))}


def _time_span(timestamps: pl.Series) -> dict[str, Any] | None:
    values = timestamps.drop_nulls().to_numpy().astype(np.int64)
    if not len(values):
        return None
    counts, edges = np.histogram(values, bins=min(40, len(np.unique(values))))
    return {
        "first": _day(values.min()),
        "last": _day(values.max()),
        "days": float(values.max() - values.min()) / 86_400,
        "histogram": {"edges": [_day(e) for e in edges], "counts": counts.tolist()},
    }


def _day(timestamp: float) -> str:
    """ISO date, or the bare number where it is no date that a calendar holds."""
    try:
        return datetime.fromtimestamp(float(timestamp), UTC).date().isoformat()
    except (OverflowError, OSError, ValueError):
        return str(int(timestamp))


def _profile(ids: pl.Series) -> dict[str, Any]:
    """How many interactions one user or item has, and how much the busiest 1 % hold."""
    counts = np.sort(ids.value_counts()["count"].to_numpy().astype(np.int64)) if len(ids) else np.empty(0, np.int64)
    if not len(counts):
        return {"quantiles": None, "busiest_percent_share": 0.0, "histogram": {"edges": [], "counts": []}}
    edges = 2 ** np.arange(int(np.log2(counts[-1])) + 2)
    heights, _ = np.histogram(counts, bins=edges)
    top = counts[-max(1, len(counts) // 100) :].sum()
    return {
        "quantiles": _quantiles(counts),
        "busiest_percent_share": _share(int(top), int(counts.sum())),
        "histogram": {"edges": edges.tolist(), "counts": heights.tolist()},
    }


def _quantiles(values: NDArray[Any]) -> dict[str, float]:
    return {name: float(np.quantile(values, q)) for name, q in _QUANTILES.items()}


def _counts(values: pl.Series) -> dict[str, int]:
    """Value -> count, most frequent first, ties by name."""
    pairs = values.value_counts().iter_rows()
    return dict(sorted(((str(v), int(n)) for v, n in pairs), key=lambda p: (-p[1], p[0])))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
