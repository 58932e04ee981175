"""Nearest neighbours against brute force, ties by id, never oneself."""

import numpy as np
import pytest

from etl.config import NeighbourConfig
from etl.nearest_neighbours import nearest, nearest_across


def test_agrees_with_brute_force() -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    ids = [f"n{i:02d}" for i in range(60)]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -2)
    rows = nearest(ids, vectors, NeighbourConfig(k=4, min_score=-1)).to_pylist()
    assert len(rows) == 60 * 4
    for at in (0, 17, 59):
        wanted = [ids[j] for j in np.argsort(-scores[at])[:4]]
        mine = [row for row in rows if row["source"] == ids[at]]
        assert [row["target"] for row in mine] == wanted
        assert mine[0]["score"] == pytest.approx(scores[at].max(), abs=2e-6)


def test_ties_go_by_id_whatever_the_input_order() -> None:
    vectors = np.ones((6, 2), np.float32)
    rows = nearest(list("fedcba"), vectors, NeighbourConfig(k=2)).to_pylist()
    assert [r["target"] for r in rows if r["source"] == "a"] == ["b", "c"]
    assert [r["target"] for r in rows if r["source"] == "d"] == ["a", "b"]


def test_scores_under_the_least_make_no_link() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0.1]], np.float32)
    rows = nearest(["a", "b", "c"], vectors, NeighbourConfig(k=2, min_score=0.9)).to_pylist()
    assert {(r["source"], r["target"]) for r in rows} == {("a", "c"), ("c", "a")}


def test_length_does_not_count_and_empty_is_empty() -> None:
    vectors = np.array([[10, 0], [0.1, 0.1]], np.float32)
    others = np.array([[1, 1], [3, 0]], np.float32)
    rows = nearest_across(["p", "q"], vectors, ["x", "y"], others, NeighbourConfig(k=1)).to_pylist()
    assert [(r["source"], r["target"], r["score"]) for r in rows] == [("p", "y", 1.0), ("q", "x", 1.0)]
    assert len(nearest([], np.empty((0, 2), np.float32), NeighbourConfig())) == 0


def test_progress_reaches_the_total() -> None:
    seen: list[tuple[int, int]] = []
    vectors = np.random.default_rng(1).normal(size=(1500, 3)).astype(np.float32)
    nearest([str(i) for i in range(1500)], vectors, NeighbourConfig(k=1), progress=lambda a, b: seen.append((a, b)))
    assert seen == [(1024, 1500), (1500, 1500)]
