"""Media of items that arrive after a graph was built, linked to the media that are there, as a build would."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from etl.config import NeighbourConfig
from etl.errors import SourceError
from etl.media import MediaGraph, MediaVectors
from etl.media_links import given_links
from etl.nearest_neighbours import SIMILAR, nearest_across
from etl.tables import Tables
from graph.schema import MODALITIES


@dataclass(frozen=True)
class KnownMedia:
    """Media of one modality that a graph holds."""

    encoders: set[str]
    """Where the vectors come from."""
    vectors: MediaVectors
    has: pa.Table
    """`source` (item), `target` (media node), one row for each link."""
    similar: pa.Table
    """`SIMILAR`: the links among them."""


def link_arrivals(
    media: MediaGraph, tables: Tables, known: Mapping[str, KnownMedia], config: NeighbourConfig
) -> dict[str, pa.Table]:
    """Modality -> `SIMILAR`: links between the new media, and from them to the known ones and back.

    Given lists as they are, else the k nearest of each new node, and the new ones among the k nearest of each known
    one; a known node loses none of its links for them. Raises `SourceError` where vectors cannot be compared.
    """
    found = {}
    for modality in MODALITIES:
        there = known.get(modality)
        if modality not in media.has or there is None:
            continue
        lists, own = tables.neighbours.get(modality), media.vectors.get(modality)
        if lists is not None:
            owned = pa.concat_tables([there.has, media.has[modality].select(there.has.column_names)])
            found[modality] = given_links(lists, _first(owned))
        elif own is not None and len(there.vectors.ids):
            _check(modality, own, there)
            found[modality] = _nearest(own, there, config)
    return found


def _nearest(own: MediaVectors, there: KnownMedia, config: NeighbourConfig) -> pa.Table:
    old = there.vectors
    fresh = np.flatnonzero(~np.isin(np.array(own.ids, dtype=object), np.array(old.ids, dtype=object)))
    ids, vectors = [own.ids[i] for i in fresh], own.vectors[fresh]
    from_new = nearest_across(ids, vectors, [*old.ids, *ids], np.vstack([old.vectors, vectors]), config)
    to_new = pl.DataFrame(nearest_across(old.ids, old.vectors, ids, vectors, config)).with_columns(new=True)
    held = pl.DataFrame(there.similar.select(SIMILAR.names)).with_columns(new=False)
    best = pl.concat([held, to_new]).sort("source", -pl.col("score"), "target").group_by("source", maintain_order=True)
    entered = best.head(config.k).filter("new").select(SIMILAR.names)
    return pa.concat_tables([from_new, entered.to_arrow().cast(SIMILAR)])


def _first(has: pa.Table) -> pa.Table:
    """With the order of each item's media as `position`."""
    return pl.DataFrame(has).with_columns(position=pl.int_range(pl.len()).over("source")).to_arrow()


def _check(modality: str, own: MediaVectors, there: KnownMedia) -> None:
    if own.encoder in there.encoders and own.vectors.shape[1] == there.vectors.vectors.shape[1]:
        return
    known = f"{' and '.join(sorted(there.encoders))} ({there.vectors.vectors.shape[1]} dimensions)"
    raise SourceError(
        f"{modality} of the new items: vectors come from {own.encoder} ({own.vectors.shape[1]} dimensions), those of "
        f"the graph from {known}; give media or vectors of the same kind"
    )
