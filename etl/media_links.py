"""SIMILAR links between media nodes: given lists, exact nearest neighbours, and across modalities."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa

from common.progress import Progress
from etl.config import NeighbourConfig
from etl.kept_links import kept_links
from etl.media import GIVEN, MediaGraph, MediaVectors
from etl.nearest_neighbours import SIMILAR, nearest, nearest_across
from etl.tables import Tables
from graph.schema import MEDIA_LABELS, MODALITIES, EdgeType


def link_media(
    graph: MediaGraph,
    tables: Tables,
    config: NeighbourConfig,
    *,
    kept: Path | None = None,
    progress: Progress | None = None,
) -> MediaGraph:
    """`graph` with `similar`: given lists as they are, else the exact k nearest of each node.

    A modality with given vectors and given lists takes the lists. Where one encoder embeds text and another
    modality, texts and media are linked too, from both sides. Only media decide: interactions play no part. `kept` is
    a folder for the links that were found, which the same vectors have again without a search.
    """
    similar = dict(graph.similar)
    for modality in MODALITIES:
        found = []
        if modality in tables.neighbours and modality in graph.has:
            found.append(_stamp(given_links(tables.neighbours[modality], graph.has[modality]), GIVEN))
        own = graph.vectors.get(modality)
        if own is not None and not (own.encoder == GIVEN and found):
            search = partial(nearest, own.ids, own.vectors, config, progress=progress)
            found.append(_stamp(kept_links(kept, modality, (own,), config, search), own.encoder))
        if found:
            label = MEDIA_LABELS[modality]
            similar[EdgeType(label, "SIMILAR", label)] = pa.concat_tables(found)
    for modality in ("image", "audio"):
        across = _across(graph, modality, config, kept)
        if across is not None:
            similar[EdgeType("Text", "SIMILAR", MEDIA_LABELS[modality])] = across
    return replace(graph, similar=similar)


def given_links(neighbours: pa.Table, has: pa.Table) -> pa.Table:
    """Neighbouring items' first nodes; where items share a node, the best score of a pair of nodes counts."""
    nodes = pl.DataFrame(has).filter(pl.col("position") == 0).select("source", "target")
    linked = (
        pl.DataFrame(neighbours)
        .join(nodes.rename({"source": "item_id", "target": "source"}), on="item_id")
        .join(nodes.rename({"source": "neighbour_id"}), on="neighbour_id")
        .filter(pl.col("source") != pl.col("target"))
    )
    best = linked.group_by("source", "target").agg(pl.col("score").max()).sort("source", -pl.col("score"), "target")
    return best.to_arrow().cast(SIMILAR)


def _across(graph: MediaGraph, modality: str, config: NeighbourConfig, kept: Path | None) -> pa.Table | None:
    """Each text's nearest media and each piece of media's nearest texts, all as text -> media."""
    text, other = graph.vectors.get("text"), graph.vectors.get(modality)
    if text is None or other is None or text.encoder != other.encoder or text.encoder == GIVEN:
        return None
    search = partial(_both_ways, text, other, config)
    return _stamp(kept_links(kept, f"text-{modality}", (text, other), config, search), text.encoder)


def _both_ways(text: MediaVectors, other: MediaVectors, config: NeighbourConfig) -> pa.Table:
    there = nearest_across(text.ids, text.vectors, other.ids, other.vectors, config)
    back = nearest_across(other.ids, other.vectors, text.ids, text.vectors, config)
    back = back.rename_columns(["target", "source", "score"]).select(SIMILAR.names)
    both = pl.concat([pl.DataFrame(there), pl.DataFrame(back)]).unique(["source", "target"], maintain_order=True)
    return both.to_arrow().cast(SIMILAR)


def _stamp(table: pa.Table, encoder: str) -> pa.Table:
    return table.append_column("encoder", pa.array([encoder] * len(table), pa.string()))
