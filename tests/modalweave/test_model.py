"""A model by itself: a bundle's folder is enough, and it answers with tables."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
import torch

import modalweave as mw
from gnn.bundle.bundle import save_bundle
from gnn.errors import BundleError
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer

USERS, ITEMS = ["a", "b", "new"], ["w", "x", "y", "z"]
SEEN = sp.csr_matrix(np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]], dtype=np.float32))
VECTORS = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
WEIGHTS = torch.tensor([[0.0, 3, 1, 2], [3, 0, 1, 1], [1, 1, 0, 5], [2, 1, 5, 0]])


def dot() -> DotScorer:
    return DotScorer(torch.tensor([[1.0, 0.2], [0.0, 1.0], [0.0, 0.0]]), VECTORS)


def item_item() -> ItemItemScorer:
    return ItemItemScorer(SEEN, WEIGHTS)


def loaded(folder: Path, scorer: Scorer) -> mw.Model:
    facts = {"model": "test", "dataset_fingerprint": "f", "metrics": {}}
    save_bundle(folder / "bundle", scorer, user_ids=USERS, item_ids=ITEMS, seen=SEEN, manifest=facts)
    return mw.load(folder / "bundle")


def test_it_needs_only_the_folder_and_says_what_it_is(tmp_path: Path) -> None:
    model = loaded(tmp_path, dot())
    assert (list(model.users), list(model.items)) == (USERS, ITEMS)
    assert repr(model) == f"Model(test, 3 users, 4 items, {model.hash[:12]})"
    (tmp_path / "bundle" / "items.parquet").write_bytes(b"")
    with pytest.raises(BundleError, match=r"items\.parquet does not match its hash"):
        mw.load(str(tmp_path / "bundle"))


def test_chosen_items_are_left_out_and_the_rest_is_ranked(tmp_path: Path) -> None:
    table = loaded(tmp_path, dot()).recommend(["b", "a"], k=9)
    assert table.rows() == [
        ("b", "y", None, 1, 1.0, "model"),
        ("b", "z", None, 2, pytest.approx(0.9), "model"),
        ("a", "x", None, 1, pytest.approx(0.92), "model"),
        ("a", "z", None, 2, pytest.approx(0.28), "model"),
        ("a", "y", None, 3, pytest.approx(0.2), "model"),
    ]
    assert table.schema == {
        "user_id": pl.String,
        "item_id": pl.String,
        "title": pl.String,
        "rank": pl.Int32,
        "score": pl.Float32,
        "source": pl.String,
    }


def test_without_history_comes_what_most_people_chose(tmp_path: Path) -> None:
    table = loaded(tmp_path, item_item()).recommend(["a", "new"], k=2)
    assert table.filter(user_id="new").select("item_id", "score", "source").rows() == [
        ("w", 1.0, "popularity"),
        ("x", 0.5, "popularity"),
    ]
    assert set(table.filter(user_id="a")["source"]) == {"model"}


def test_pairs_are_scored_in_their_order(tmp_path: Path) -> None:
    model = loaded(tmp_path, dot())
    pairs = [("b", "z"), ("a", "w"), ("b", "w")]
    table = model.score(pairs)
    assert table["score"].to_list() == pytest.approx([0.9, 1.0, 0.0])
    assert table.select("user_id", "item_id").rows() == pairs
    assert model.score(pl.DataFrame(pairs, schema=["user_id", "item_id"], orient="row")).equals(table)
    assert model.score([]).is_empty()


def test_unknown_ids_are_named(tmp_path: Path) -> None:
    model = loaded(tmp_path, dot())
    many = [f"n{number}" for number in range(9)]
    with pytest.raises(mw.RunError, match=r"unknown users 'n0', 'n1', 'n2', 'n3', 'n4' and 4 more: the model knows 3"):
        model.recommend(many)
    with pytest.raises(mw.RunError, match="unknown item 'q'"):
        model.score([("a", "q")])
    with pytest.raises(mw.RunError, match="k is 0"):
        model.recommend("a", k=0)
    assert model.recommend([]).is_empty()


def test_alike_by_vectors_by_weights_and_by_both(tmp_path: Path) -> None:
    assert loaded(tmp_path, dot()).similar("w", k=2)["item_id"].to_list() == ["x", "z"]
    assert loaded(tmp_path, item_item()).similar("y", k=1)["item_id"].to_list() == ["z"]
    sparse = ItemItemScorer(SEEN, sp.csr_matrix(WEIGHTS.numpy()))
    assert loaded(tmp_path, sparse).similar("y").equals(loaded(tmp_path, item_item()).similar("y"))
    both = loaded(tmp_path, SumScorer([dot(), item_item()], [1.0, 0.0]))
    assert both.similar("w")["item_id"].to_list() == loaded(tmp_path, dot()).similar("w")["item_id"].to_list()
    with pytest.raises(mw.RunError, match="unknown item 'q'"):
        both.similar("q")


def test_popularity_knows_no_likeness(tmp_path: Path) -> None:
    popular = DotScorer(torch.ones(3, 1), torch.tensor([[2.0], [1], [0], [0]]))
    with pytest.raises(mw.RunError, match="knows none that are alike"):
        loaded(tmp_path, popular).similar("w")


def test_people_whom_it_never_met_are_recommended_to_by_what_they_chose(tmp_path: Path) -> None:
    model = loaded(tmp_path, item_item())
    table = model.recommend(histories=[("anna", "y"), ("anna", "w"), ("b", "z")], k=2)
    assert table.select("user_id", "item_id", "score", "source").rows() == [
        ("anna", "z", 7.0, "model"),
        ("anna", "x", 4.0, "model"),
        ("b", "y", 7.0, "model"),  # w and x from before, z since
    ]
    assert model.recommend("a", k=1).rows() == model.recommend("a", 1, histories=[("anna", "y")]).rows()
    with pytest.raises(mw.RunError, match="unknown item 'q'"):
        model.recommend(histories=[("anna", "q")])
    with pytest.raises(mw.RunError, match="give the histories of some"):
        model.recommend()
    with pytest.raises(mw.RunError, match="unknown user 'carl'"):
        model.recommend("carl", histories=[("anna", "y")])


def test_lists_of_some_items_alone(tmp_path: Path) -> None:
    model = loaded(tmp_path, item_item())
    assert model.recommend("a", 5, items=["y", "w"], include_seen=True)["item_id"].to_list() == ["y", "w"]
    assert model.recommend("a", 5, exclude=["x"])["item_id"].to_list() == ["z", "y"]
    with pytest.raises(mw.RunError, match="unknown item 'q'"):
        model.recommend("a", exclude=["q"])
