"""Media that arrive after a build have the links that a build would have given them."""

import hashlib

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from etl.arrivals import KnownMedia, link_arrivals
from etl.config import NeighbourConfig
from etl.errors import SourceError
from etl.media import MediaGraph, MediaVectors
from etl.nearest_neighbours import SIMILAR, nearest
from etl.tables import INTERACTIONS, NEIGHBOURS, Tables

IDS = [hashlib.sha256(bytes([n])).hexdigest() for n in range(60)]
VECTORS = np.random.default_rng(3).normal(size=(60, 8)).astype(np.float32)
CONFIG = NeighbourConfig(k=5)


def links(nodes: list[str], items: list[str]) -> pa.Table:
    return pa.table({"source": items, "target": nodes})


def known(count: int) -> KnownMedia:
    vectors = MediaVectors("", IDS[:count], VECTORS[:count])
    items = [f"i{n}" for n in range(count)]
    return KnownMedia({"lexical"}, vectors, links(IDS[:count], items), nearest(IDS[:count], VECTORS[:count], CONFIG))


def arriving(start: int, encoder: str = "lexical") -> MediaGraph:
    items = [f"i{n}" for n in range(start, 60)]
    return MediaGraph(
        has={"text": links(IDS[start:], items)}, vectors={"text": MediaVectors(encoder, IDS[start:], VECTORS[start:])}
    )


def test_links_are_those_of_a_build_and_known_media_keep_theirs() -> None:
    there = known(50)
    found = link_arrivals(arriving(50), Tables(INTERACTIONS.empty_table()), {"text": there}, CONFIG)["text"]
    whole = {(row["source"], row["target"]) for row in nearest(IDS, VECTORS, CONFIG).to_pylist()}
    before = {(row["source"], row["target"]) for row in there.similar.to_pylist()}
    after = before | {(row["source"], row["target"]) for row in found.to_pylist()}
    assert whole <= after and after - whole <= before and len(after - whole) > 0


def test_media_that_are_there_already_bring_no_link() -> None:
    found = link_arrivals(arriving(45), Tables(INTERACTIONS.empty_table()), {"text": known(50)}, CONFIG)["text"]
    assert set(pl.DataFrame(found)["source"].to_list()) & set(IDS[45:50]) <= set(IDS[:50])
    assert not any(row["source"] in IDS[45:50] and row["target"] in IDS[:50] for row in found.to_pylist())


def test_given_lists_are_taken_as_they_are() -> None:
    rows = {"item_id": ["i50", "i3"], "neighbour_id": ["i3", "i51"], "score": [0.5, 0.25]}
    tables = Tables(INTERACTIONS.empty_table(), neighbours={"text": pa.table(rows).cast(NEIGHBOURS)})
    found = link_arrivals(arriving(50), tables, {"text": known(50)}, CONFIG)["text"]
    ends = [(IDS[50], IDS[3], 0.5), (IDS[3], IDS[51], 0.25)]
    assert sorted(found.select(SIMILAR.names).to_pylist(), key=str) == sorted(
        [{"source": a, "target": b, "score": c} for a, b, c in ends], key=str
    )


def test_vectors_of_another_kind_are_refused() -> None:
    with pytest.raises(SourceError, match=r"text of the new items: vectors come from minilm.* those of the graph from"):
        link_arrivals(arriving(50, "minilm"), Tables(INTERACTIONS.empty_table()), {"text": known(50)}, CONFIG)
