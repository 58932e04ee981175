"""Media nodes are named by content; what is missing is a missing edge; bad media cost only themselves."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from encoders import make_encoder
from etl.config import NeighbourConfig
from etl.media import GIVEN, MediaGraph, MediaVectors, build_media
from etl.media_links import link_media
from etl.tables import INTERACTIONS, MEDIA, NEIGHBOURS, Tables
from etl.validate import validate
from graph.schema import EdgeType, GraphSchema

IMAGES = EdgeType("Image", "SIMILAR", "Image")


def _tables(**parts: object) -> Tables:
    items = pa.table({"item_id": ["a", "b", "c", "d"]})
    return validate(Tables(INTERACTIONS.empty_table(), items=items, **parts), strict=True)  # type: ignore[arg-type]


def _vectors(items: list[str], rows: list[list[float]]) -> pa.Table:
    flat = pa.array(np.array(rows, np.float32).ravel())
    return pa.table({"item_id": items, "vector": pa.FixedSizeListArray.from_arrays(flat, len(rows[0]))})


def _near(*rows: tuple[str, str, float]) -> pa.Table:
    names = NEIGHBOURS.names
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], NEIGHBOURS)


def _media(*rows: dict[str, str]) -> pa.Table:
    return pa.Table.from_pylist([{n: row.get(n) for n in MEDIA.names} for row in rows], MEDIA)


def test_equal_vectors_share_a_node_and_a_missing_one_has_none() -> None:
    tables = _tables(embeddings={"image": _vectors(["a", "b", "c"], [[1, 0], [1, 0], [0, 1]])})
    graph = build_media(tables, {})
    one = hashlib.sha256(np.array([1, 0], "<f4").tobytes()).hexdigest()
    nodes = {row["id"]: row for row in graph.nodes["image"].to_pylist()}
    assert len(nodes) == 2 and nodes[one]["embedding"] == [1.0, 0.0] and nodes[one]["encoder"] == GIVEN
    links = {row["source"]: row["target"] for row in graph.has["image"].to_pylist()}
    assert links["a"] == links["b"] == one and "d" not in links
    assert graph.dimensions == {"Image": 2}
    assert graph.nodes["image"].schema.equals(GraphSchema().nodes["Image"].properties)


def test_given_lists_link_nodes_without_vectors() -> None:
    tables = _tables(neighbours={"image": _near(("a", "b", 0.9), ("b", "a", 0.8))})
    graph = link_media(build_media(tables, {}), tables, NeighbourConfig())
    a, b = (hashlib.sha256(f"given:image:{item}".encode()).hexdigest() for item in "ab")
    assert [row["embedding"] for row in graph.nodes["image"].to_pylist()] == [None, None]
    assert {(r["source"], r["target"], r["score"]) for r in graph.similar[IMAGES].to_pylist()} == {
        (a, b, 0.9),
        (b, a, 0.8),
    }
    assert graph.dimensions == {}


def test_given_lists_beside_given_vectors_link_the_items_own_nodes() -> None:
    near = _near(("a", "c", 0.5), ("b", "c", 0.7), ("a", "b", 1.0), ("d", "c", 0.4))
    vectors = _vectors(["a", "b", "c"], [[1, 0], [1, 0], [0, 1]])
    tables = _tables(embeddings={"image": vectors}, neighbours={"image": near})
    graph = link_media(build_media(tables, {}), tables, NeighbourConfig())
    scores = sorted(row["score"] for row in graph.similar[IMAGES].to_pylist())
    assert scores == [0.4, 0.7]  # a and b are one node: its best score counts, and it is not its own neighbour
    assert len(graph.nodes["image"]) == 3


def test_similar_links_by_vectors() -> None:
    tables = _tables(embeddings={"image": _vectors(["a", "b", "c"], [[1, 0], [1, 0.1], [0, 1]])})
    graph = link_media(build_media(tables, {}), tables, NeighbourConfig(k=1, min_score=0.5))
    rows = graph.similar[IMAGES].to_pylist()
    assert len(rows) == 2 and {row["encoder"] for row in rows} == {GIVEN}


def test_similar_links_ignore_who_interacted() -> None:
    vectors = {"image": _vectors(["a", "b", "c"], [[1, 0], [1, 0.1], [0, 1]])}
    plain = _tables(embeddings=vectors)
    rows = [{"user_id": "u", "item_id": i, "split": s} for i, s in (("a", "train"), ("c", "test"))]
    filled = [{name: row.get(name) for name in INTERACTIONS.names} for row in rows]
    busy = Tables(pa.Table.from_pylist(filled, INTERACTIONS), embeddings=vectors)
    found = [link_media(build_media(t, {}), t, NeighbourConfig()).similar[IMAGES] for t in (plain, busy)]
    assert found[0].equals(found[1])


def test_one_encoder_for_two_modalities_links_across() -> None:
    text = MediaVectors("clip-1", ["t1", "t2"], np.array([[1, 0], [0, 1]], np.float32))
    image = MediaVectors("clip-1", ["i1", "i2"], np.array([[0, 1], [1, 0.2]], np.float32))
    graph = MediaGraph(vectors={"text": text, "image": image})
    edge = EdgeType("Text", "SIMILAR", "Image")
    linked = link_media(graph, _tables(), NeighbourConfig(k=1))
    assert {(r["source"], r["target"]) for r in linked.similar[edge].to_pylist()} == {("t1", "i2"), ("t2", "i1")}
    other = MediaGraph(vectors={"text": text, "image": MediaVectors("other", image.ids, image.vectors)})
    assert edge not in link_media(other, _tables(), NeighbourConfig(k=1)).similar


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    import soundfile

    time = np.arange(16_000) / 16_000
    for name, pitch in (("low", 200), ("high", 2000)):
        soundfile.write(tmp_path / f"{name}.wav", 0.5 * np.sin(2 * np.pi * pitch * time), 16_000)
    (tmp_path / "copy.wav").write_bytes((tmp_path / "low.wav").read_bytes())
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    return tmp_path


def test_raw_sounds_become_nodes_and_bad_ones_are_rejected(sounds: Path) -> None:
    names = {"a": "low.wav", "b": "copy.wav", "c": "high.wav", "d": "broken.wav"}
    media = _media(*({"item_id": i, "modality": "audio", "uri": uri} for i, uri in names.items()))
    tables = _tables(media=media, root=sounds)
    seen: list[tuple[int, int]] = []
    graph = build_media(tables, {"audio": make_encoder("logmel")}, workers=0, progress=lambda a, b: seen.append((a, b)))
    links = {row["source"]: row["target"] for row in graph.has["audio"].to_pylist()}
    assert links["a"] == links["b"] == hashlib.sha256((sounds / "low.wav").read_bytes()).hexdigest()
    assert set(links) == {"a", "b", "c"}
    assert graph.rejected["item_id"].to_pylist() == ["d"] and graph.rejected["uri"].to_pylist() == ["broken.wav"]
    node = graph.nodes["audio"].to_pylist()[0]
    assert node["sample_rate"] == 16_000 and node["duration"] == pytest.approx(1.0)
    assert seen[-1] == (4, 4)
    linked = link_media(graph, tables, NeighbourConfig(min_score=-1))
    assert len(linked.similar[EdgeType("Audio", "SIMILAR", "Audio")]) == 2


def test_raw_media_without_an_encoder_are_left_out(sounds: Path) -> None:
    tables = _tables(media=_media({"item_id": "a", "modality": "audio", "uri": "low.wav"}), root=sounds)
    graph = build_media(tables, {"audio": None})
    assert not graph.nodes and not graph.has and not len(graph.rejected)


def test_given_vectors_show_the_raw_media_they_stand_for() -> None:
    media = _media({"item_id": "a", "modality": "text", "content": "hello", "lang": "en"})
    tables = _tables(media=media, embeddings={"text": _vectors(["a", "b"], [[1, 0], [0, 1]])})
    shown = {row["content"]: row["lang"] for row in build_media(tables, {}).nodes["text"].to_pylist()}
    assert shown == {"hello": "en", None: None}


def test_two_pieces_of_one_item_keep_their_order_and_role(sounds: Path) -> None:
    rows = [
        {"item_id": "a", "modality": "audio", "uri": u, "role": r}
        for u, r in (("high.wav", "hook"), ("low.wav", "main"))
    ]
    tables = _tables(media=_media(*rows), root=sounds)
    has = build_media(tables, {"audio": make_encoder("logmel")}, workers=0).has["audio"].to_pylist()
    assert [(row["role"], row["position"]) for row in has] == [("hook", 0), ("main", 1)]
