"""The HeteroData of the tiny graph by hand, and the proof that no held-out edge can reach message passing."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

from graph import EdgeType, GraphStore, StoreError, open_store
from graph.hetero import everything, graph_hash, read_hetero
from tests.graph.tiny_graph import EDGES, INTERACTED, RECOMMENDED, SCHEMA, write_tiny

PAIRS = [(f"u{u}", f"i{i}") for u in range(4) for i in range(5)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphStore]:
    with open_store(f"ladybug:{tmp_path_factory.mktemp('hetero')}") as store:
        write_tiny(store)
        yield store


@pytest.fixture(scope="module")
def data(store: GraphStore) -> HeteroData:
    return read_hetero(store)


class Interactions:
    """A store of interactions alone: what `read_hetero` gets from any store, without its files."""

    address = "memory"

    def __init__(self, rows: pa.Table, users: int = 4, items: int = 5) -> None:
        self.rows = rows
        self.ids = {"User": [f"u{u}" for u in range(users)], "Item": [f"i{i}" for i in range(items)]}

    def attributes(self, label: str) -> pa.Schema:
        return pa.schema([])

    def read_nodes(self, label: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
        if label in self.ids:
            yield from pa.table({"id": self.ids[label]}).to_batches()

    def read_relationships(self, edge: EdgeType, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        if edge == INTERACTED:
            yield from self.rows.select(["source", "target", *columns]).to_batches()


def interactions(splits: list[str | None], weights: list[float]) -> pa.Table:
    kept = [(s, t, w, x) for (s, t), x, w in zip(PAIRS, splits, weights, strict=True) if x != "none"]
    source, target, weight, split = zip(*kept, strict=True) if kept else ((), (), (), ())
    return pa.table(
        {
            "source": pa.array(source, pa.string()),
            "target": pa.array(target, pa.string()),
            "weight": pa.array(weight, pa.float64()),
            "timestamp": pa.array([1] * len(source), pa.int64()),
            "split": pa.array(split, pa.string()),
        }
    )


def messages(data: HeteroData) -> dict[tuple[str, ...], torch.Tensor]:
    """Everything a model sees, but for the label edges."""
    return {
        (*(kind if isinstance(kind, tuple) else (kind,)), name): value
        for kind in (*data.node_types, *data.edge_types)
        for name, value in data[kind].items()
        if isinstance(value, torch.Tensor) and "label" not in name
    }


splits_of = st.lists(st.sampled_from(["train", "valid", "test", "none"]), min_size=20, max_size=20)
weights_of = st.lists(st.floats(0, 10, width=32), min_size=20, max_size=20)


@given(splits=splits_of, weights=weights_of)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_message_edges_are_the_train_rows_and_nothing_else(splits: list[str | None], weights: list[float]) -> None:
    edges = read_hetero(Interactions(interactions(splits, weights)))[INTERACTED]  # type: ignore[arg-type]

    def pairs(*of: str, liked: bool = True) -> list[tuple[int, int]]:
        rows = zip(PAIRS, splits, weights, strict=True)
        return [(int(s[1:]), int(t[1:])) for (s, t), split, w in rows if split in of and (w > 0) == liked]

    assert list(map(tuple, edges.edge_index.T.tolist())) == pairs("train")
    assert edges.weight.tolist() == [w for w, split in zip(weights, splits, strict=True) if split == "train" and w > 0]
    disliked = pairs("train", "valid", "test", liked=False)
    assert list(map(tuple, edges.not_liked_label_index.T.tolist())) == disliked
    assert list(map(tuple, edges.valid_label_index.T.tolist())) == pairs("valid")
    assert list(map(tuple, edges.test_label_index.T.tolist())) == pairs("test")


@given(splits=splits_of, weights=weights_of)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_everything_is_the_graph_with_every_positive_in_train(splits: list[str | None], weights: list[float]) -> None:
    held = read_hetero(Interactions(interactions(splits, weights)))  # type: ignore[arg-type]
    trained = ["none" if split == "none" else "train" for split in splits]
    expected = read_hetero(Interactions(interactions(trained, weights)))  # type: ignore[arg-type]
    before = graph_hash(held)
    assert graph_hash(everything(held)) == graph_hash(expected)
    assert graph_hash(held) == before


@given(splits=splits_of, others=splits_of, weights=weights_of)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_change_in_held_out_rows_changes_no_message_tensor(
    splits: list[str | None], others: list[str | None], weights: list[float]
) -> None:
    # Where the first graph trains, so does the second; every other row is held out, moved or gone.
    changed = [a if a == "train" else (b if b != "train" else "none") for a, b in zip(splits, others, strict=True)]
    moved = [w if a == "train" else w + 1 for w, a in zip(weights, splits, strict=True)]
    first = messages(read_hetero(Interactions(interactions(splits, weights))))  # type: ignore[arg-type]
    second = messages(read_hetero(Interactions(interactions(changed, moved))))  # type: ignore[arg-type]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_was_seen_and_not_liked_is_no_edge() -> None:
    rows = interactions(["train", "seen", *["none"] * 18], [1.0, 0.0, *[1.0] * 18])
    edges = read_hetero(Interactions(rows))[INTERACTED]  # type: ignore[arg-type]
    assert edges.edge_index.shape == (2, 1) and edges.not_liked_label_index.shape == (2, 1)
    assert edges.valid_label_index.shape == (2, 0)


@pytest.mark.parametrize("split", [None, "holdout"])
def test_a_row_without_a_known_split_is_refused(split: str | None) -> None:
    rows = interactions([split, *["none"] * 19], [1.0] * 20)
    with pytest.raises(StoreError, match="train, valid or test"):
        read_hetero(Interactions(rows))  # type: ignore[arg-type]


def test_nodes_in_id_order_with_features_and_masks(data: HeteroData) -> None:
    assert data["User"].ids == ["ann", "bob", "cat"]
    assert data["Item"].ids == ["film_a", "film_b", "film_c", "film_d"]
    assert data["Entity"].ids == ["dora", "noir", "style"]
    assert data["Image"].ids == ["p1", "p2", "p3"]
    assert data["Image"].x.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert data["Image"].mask.tolist() == [True, True, False]
    assert (data["Text"].x.shape, data["Audio"].x.shape) == ((1, 0), (0, 0))
    assert data["Image"].x.dtype == torch.float32
    assert data["Audio"].num_nodes == 0


def test_interactions(data: HeteroData) -> None:
    edges = data["User", "INTERACTED", "Item"]
    assert edges.edge_index.tolist() == [[0, 0, 1, 1, 2], [0, 1, 0, 2, 2]]
    assert edges.weight.tolist() == [5, 2, 3, 1, 1]
    assert edges.timestamp.tolist() == [1, 2, 4, 0, 7]
    assert edges.valid_label_index.tolist() == [[1], [1]]
    assert edges.test_label_index.tolist() == [[0], [3]]


def test_other_edges(data: HeteroData) -> None:
    assert data.relations == ["directed_by", "genre", "is_a", "stars"]
    related = data["Item", "RELATED", "Entity"]
    assert related.edge_index.tolist() == [[0, 2, 3, 3], [0, 1, 0, 0]]
    assert related.relation.tolist() == [0, 1, 0, 3]
    assert data["Entity", "RELATED", "Entity"].relation.tolist() == [2]
    assert data["Image", "SIMILAR", "Image"].edge_index.tolist() == [[0, 1], [1, 0]]
    assert torch.allclose(data["Image", "SIMILAR", "Image"].score, torch.tensor([0.9, 0.8]))
    assert data["Text", "SIMILAR", "Image"].edge_index.tolist() == [[0], [1]]
    assert data["User", "FOLLOWS", "User"].edge_index.tolist() == [[2], [0]]
    assert data["Audio", "SIMILAR", "Audio"].edge_index.shape == (2, 0)
    assert ("User", "RECOMMENDED", "Item") not in data.edge_types


def test_recommendations_written_back_change_nothing(store: GraphStore, data: HeteroData) -> None:
    back = pa.table({"source": ["cat"], "target": ["film_a"], "score": [1.0], "rank": [1], "model": ["m"]})
    assert store.write_relationships(RECOMMENDED, back) == 1
    assert graph_hash(read_hetero(store)) == graph_hash(data)


@pytest.mark.parametrize("change", ["weight", "x", "id", "relation", "held out"])
def test_the_hash_sees_every_part(store: GraphStore, data: HeteroData, change: str) -> None:
    other = read_hetero(store)
    assert graph_hash(other) == graph_hash(data)
    if change == "weight":
        other[INTERACTED].weight[0] += 1
    elif change == "x":
        other["Image"].x[0, 0] = 0.5
    elif change == "id":
        other["User"].ids[0] = "anna"
    elif change == "relation":
        other.relations[0] = "shot_by"
    else:
        other[INTERACTED].test_label_index[1, 0] = 2
    assert graph_hash(other) != graph_hash(data)


def test_vectors_of_two_lengths_are_refused(tmp_path: Path) -> None:
    with open_store(f"ladybug:{tmp_path}") as store:
        store.create_schema(SCHEMA)
        store.write_nodes("Image", pa.table({"id": ["a", "b"], "embedding": [[1.0], [1.0, 2.0]]}))
        with pytest.raises(StoreError, match="lengths 1 and 2"):
            read_hetero(store)


def test_progress_counts_up_to_its_total(store: GraphStore) -> None:
    seen: list[tuple[int, int]] = []
    read_hetero(store, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, seen[0][1] + 1))
    assert len(EDGES) < len(seen)


def test_vectors_at_hand_are_not_read_from_the_store(store: GraphStore, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []
    pictures = {"p1": [1.0, 0.0], "p2": [0.0, 1.0]}

    def lookup(label: str, encoder: str, ids: list[str]) -> np.ndarray | None:
        asked.append((label, encoder))
        if not set(ids) <= set(pictures):
            return None
        return np.array([pictures[i] for i in ids], dtype=np.float32)

    # p3 has another encoder, so the tiny graph's pictures come from the store
    assert graph_hash(read_hetero(store, vectors=lookup)) == graph_hash(read_hetero(store))
    assert asked == []
    with open_store(f"ladybug:{tmp_path / 'two'}") as two:
        two.create_schema(SCHEMA)
        for ids in (["p2", "p1"], ["p9"]):
            vectors = [pictures.get(i, [0.5, 0.5]) for i in ids]
            two.write_nodes("Image", pa.table({"id": ids, "encoder": ["e"] * len(ids), "embedding": vectors}))
            read, looked = read_hetero(two), read_hetero(two, vectors=lookup)
            assert graph_hash(looked) == graph_hash(read)
        pictures["p9"] = [7.0, 7.0]
        changed = read_hetero(two, vectors=lookup)["Image"]
    assert changed.ids == ["p1", "p2", "p9"]
    assert changed.x.tolist() == [[1, 0], [0, 1], [7, 7]] and changed.mask.all()
