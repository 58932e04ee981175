"""Places for items nobody has yet."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from pydantic import ValidationError

from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.content import NewItems
from gnn.errors import BundleError
from gnn.scorers.base import DotScorer
from scoring.config import ScoringConfig
from scoring.errors import ScoringError
from scoring.job import run_job
from scoring.new_items import places

USERS, ITEMS = 30, 50
NEW = np.array([3, 20, 48])


def save(folder: Path, new: np.ndarray = NEW) -> Path:
    """Everybody's score of an item falls with its index; likeness says 48, 20, 3, of item 41 it is 20 first."""
    seen = np.zeros((USERS, ITEMS), dtype=np.float32)
    for user in range(USERS - 1):  # the last one is a stranger
        seen[user, [n for n in range(40, 48) if (user + n) % 2]] = 1
    seen[5, 7:] = 1
    seen[5, NEW] = 0
    history = seen.copy()
    seen[6, 20] = 1  # known of user 6 outside of train
    vectors = np.stack([-np.arange(ITEMS), np.zeros(ITEMS)], axis=1).astype(np.float32)
    vectors[NEW] -= 100
    users = np.ones((USERS, 2), dtype=np.float32)
    likeness = np.tile([1, 2, 3], (ITEMS, 1))
    likeness[41] = [1, 90, 3]
    likeness[NEW] = 0
    save_bundle(
        folder,
        DotScorer(torch.from_numpy(users), torch.from_numpy(vectors)),
        user_ids=[f"u{n}" for n in range(USERS)],
        item_ids=[f"i{n}" for n in range(ITEMS)],
        seen=sp.csr_matrix(seen),
        history=sp.csr_matrix(history),
        new_items=NewItems(new, sp.csr_matrix(likeness[:, : len(new)].astype(np.float32))),
        manifest={"model": "dot"},
    )
    return folder


def lists(bundle: Path, out: Path, share: float, k: int = 10) -> dict[str, list[tuple[str, int, str]]]:
    run_job(bundle, out, ScoringConfig(top_k=k, new_items=share, shard_size=7))
    table = pl.concat([pl.read_parquet(part) for part in sorted(out.glob("part-*.parquet"))])
    grouped: dict[str, list[tuple[str, int, str]]] = {}
    for user, item, rank, _, source in table.rows():
        grouped.setdefault(user, []).append((item, rank, source))
    return grouped


def test_places_are_spread() -> None:
    assert places(10, 0.2).tolist() == [2, 7]
    assert places(20, 0.1).tolist() == [5, 15]
    assert places(10, 0.0).tolist() == [] == places(4, 0.1).tolist()
    assert places(3, 1.0).tolist() == [0, 1, 2]


def test_the_best_new_items_stand_at_their_places_and_say_why(tmp_path: Path) -> None:
    bundle = save(tmp_path / "bundle")
    without, with_new = lists(bundle, tmp_path / "a", 0), lists(bundle, tmp_path / "b", 0.2)
    assert {row[2] for rows in without.values() for row in rows} == {"model", "popularity"}
    rows = with_new["u1"]
    assert [row for row in rows if row[2] == "content"] == [("i48", 3, "content"), ("i20", 8, "content")]
    assert [row[0] for row in rows if row[2] == "model"] == [row[0] for row in without["u1"]][:8]
    assert [row[1] for row in rows] == list(range(1, 11))
    assert [row[0] for row in with_new["u2"] if row[2] == "content"] == ["i20", "i48"], "each user's own best"
    assert [row[0] for row in with_new["u6"] if row[2] == "content"] == ["i48", "i3"], "never what is known"


def test_a_stranger_keeps_what_is_popular(tmp_path: Path) -> None:
    bundle = save(tmp_path / "bundle")
    stranger = f"u{USERS - 1}"
    assert lists(bundle, tmp_path / "a", 0.5)[stranger] == lists(bundle, tmp_path / "b", 0)[stranger]


def test_nothing_is_listed_twice_and_short_lists_close_up(tmp_path: Path) -> None:
    for k, share in ((10, 0.3), (10, 1.0), (60, 0.5)):
        for user, rows in lists(save(tmp_path / f"{k}{share}"), tmp_path / f"out{k}{share}", share, k).items():
            assert len({row[0] for row in rows}) == len(rows), user
            assert [row[1] for row in rows] == list(range(1, len(rows) + 1)), user
            if user == "u5":  # six items and three new ones are left
                assert len(rows) == min(k, 9)


def test_the_share_is_pinned_in_the_folder_and_checked(tmp_path: Path) -> None:
    bundle = save(tmp_path / "bundle")
    run_job(bundle, tmp_path / "out", ScoringConfig(top_k=5, new_items=0.2))
    with pytest.raises(ScoringError, match="new_items"):
        run_job(bundle, tmp_path / "out", ScoringConfig(top_k=5, new_items=0.4))
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        ScoringConfig(new_items=20)


def test_a_bundle_keeps_them_and_refuses_what_is_no_index(tmp_path: Path) -> None:
    assert load_bundle(save(tmp_path / "some")).new_items.items.tolist() == NEW.tolist()
    assert load_bundle(save(tmp_path / "none", NEW[:0])).new_items.items.tolist() == []
    for wrong in (np.array([3, 3]), np.array([5, 50])):
        with pytest.raises(BundleError, match="new_items"):
            load_bundle(save(tmp_path / f"wrong{wrong[1]}", wrong))
