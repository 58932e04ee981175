"""Items that came after training: a folder with their media -> what they are like of those a model knows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from torch import Tensor
from torch_geometric.data import HeteroData

from common.text import one_line
from encoders import AUTO
from etl.arrivals import KnownMedia, link_arrivals
from etl.media import MediaGraph, MediaVectors
from etl.sources.folder import read_catalogue
from etl.tables import Tables
from etl.validate import validate
from gnn.content import Arrivals, media_likeness
from graph.cookbook.similarity_search import stored_encoder
from graph.grown import with_items
from graph.schema import HAS, MEDIA_LABELS
from modalweave.config import RunConfig
from modalweave.errors import RunError
from modalweave.progress import Stages, warn
from modalweave.stages.catalogue import embedded, encoders_of, held_attributes
from modalweave.stages.inputs import read_graph
from modalweave.stores import connect

_NAMED = 20
"""Items, or rows, that a warning lists."""


def arrivals(config: RunConfig, folder: Path, known: Sequence[str], stages: Stages) -> Arrivals:
    """The items of a dataset folder that a model does not know (`known`: the ids it does), and what they are like.

    Their media are encoded as the run's own were and linked as a build would link them; nothing is written but the
    cache of embeddings, nothing is trained. Items that no link leads to from a known one are told and left out. Raises
    `RunError` where none is left, `etl.errors.SourceError` for a folder that cannot be read or vectors of another kind.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; name a dataset folder with the new items and their media")
    data, config = read_graph(config, stages), _as_built(config)
    items, tables = _read(config, folder, data["Item"].ids)
    fresh = items.filter(~pl.col("item_id").is_in(pl.Series(known).implode()))
    if not len(fresh):
        raise RunError(f"{folder}: the model knows all {len(items):,} items; name a folder with new ones")
    media = _of(embedded(config, tables, encoders_of(config, tables, stages), stages), fresh["item_id"], data)
    rejected = media.rejected.slice(0, _NAMED).to_pylist()
    warn([f"left out: {row['item_id']}, {row['uri'] or row['modality']}: {row['reason']}" for row in rejected])
    with stages.stage("link", "Linking new media"):
        similar = link_arrivals(media, tables, _known(config, data, media), config.neighbours)
    built = set(data["Item"].ids)
    grown = with_items(data, [name for name in fresh["item_id"] if name not in built], media.has, similar)
    order = {name: place for place, name in enumerate(grown["Item"].ids)}
    likeness = media_likeness(grown, np.array([order[name] for name in fresh["item_id"]], dtype=np.int64))
    rows = np.array([order.get(name, len(order)) for name in known], dtype=np.int64)
    likeness.resize(len(order) + 1, likeness.shape[1])  # a known item that the graph has no more is like nothing
    likeness = likeness[rows]
    led = likeness.getnnz(axis=0) > 0
    if not led.any():
        raise RunError(f"{folder}: 0 of {len(fresh):,} new items have media like those of known ones; give them media")
    if not led.all():
        alone = fresh["item_id"].filter(pl.Series(~led))
        named = ", ".join(map(repr, alone.head(_NAMED))) + (", ..." if len(alone) > _NAMED else "")
        warn([f"{len(alone):,} new items have no media like those of known ones and are in no list: {named}"])
    return Arrivals(fresh.filter(pl.Series(led)), likeness[:, led].tocsr())


def _as_built(config: RunConfig) -> RunConfig:
    """With the text encoder that the graph has, where the config leaves the choice to a build."""
    if config.encoders["text"] != AUTO:
        return config
    with connect(config.store_address, config, read_only=True) as store:
        found = stored_encoder(store, "text")
    name = "" if found is None else found.rpartition("-")[0]
    return config.model_copy(update={"encoders": {**config.encoders, "text": name}}) if name else config


def _read(config: RunConfig, folder: Path, elsewhere: Sequence[str]) -> tuple[pl.DataFrame, Tables]:
    """The items with `title` and attributes, and the tables that say what they are like."""
    source = config.source.model_copy(update={"format": "folder", "path": folder})
    tables = read_catalogue(source.against(held_attributes(config)))
    tables = validate(tables, strict=source.strict, elsewhere=elsewhere)
    warn([*tables.notes, *(f"left out: {one_line(why)}" for why in tables.rejected["reason"].to_pylist()[:_NAMED])])
    items = pl.DataFrame(tables.items)
    return items if "title" in items.columns else items.with_columns(title=pl.lit(None, pl.String)), tables


def _of(media: MediaGraph, fresh: pl.Series, data: HeteroData) -> MediaGraph:
    """The links of the new items that the graph lacks."""
    built = fresh.filter(~fresh.is_in(pl.Series(data["Item"].ids, dtype=pl.String).implode())).to_arrow()
    kept = {m: table.filter(pc.is_in(table["source"], built)) for m, table in media.has.items()}
    return replace(media, has={m: table.select(["source", "target"]) for m, table in kept.items() if len(table)})


def _known(config: RunConfig, data: HeteroData, media: MediaGraph) -> Mapping[str, KnownMedia]:
    """What the graph holds of the modalities that arrive."""
    found, items = {}, pa.array(data["Item"].ids, pa.string())
    with connect(config.store_address, config, read_only=True) as store:
        for modality in media.has:
            label = MEDIA_LABELS[modality]
            names: set[str | None] = set()
            for batch in store.read_nodes(label, ["encoder"]):
                names |= set(batch["encoder"].unique().to_pylist())
            held, links = data[label], data[label, "SIMILAR", label]
            scores = links.score.double().numpy()
            ids = pa.array(held.ids, pa.string())
            some = np.flatnonzero(held.mask.numpy())
            vectors = MediaVectors("", ids.take(pa.array(some)).to_pylist(), held.x.numpy()[some])
            found[modality] = KnownMedia(
                encoders={name for name in names if name is not None},
                vectors=vectors,
                has=_pairs(data["Item", HAS[modality], label].edge_index, items, ids),
                similar=_pairs(links.edge_index, ids, ids).append_column("score", pa.array(scores)),
            )
    return found


def _pairs(edges: Tensor, sources: pa.Array, targets: pa.Array) -> pa.Table:
    source, target = edges.numpy()
    return pa.table({"source": sources.take(pa.array(source)), "target": targets.take(pa.array(target))})
