"""Histories that come with a job: strangers, people whose history grew, and what they chose that nobody sells."""

from pathlib import Path

import polars as pl
import pytest

from gnn.bundle.bundle import load_bundle
from scoring.config import ScoringConfig
from scoring.errors import ScoringError
from scoring.job import run_job
from scoring.restrictions import Restrictions
from tests.scoring.test_restrictions import lists

OPTIONS = ScoringConfig(top_k=4, shard_size=2)


def chosen(*pairs: tuple[str, int | str]) -> pl.DataFrame:
    rows = [(user, item if isinstance(item, str) else f"电影-{item}") for user, item in pairs]
    return pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")


def test_who_is_known_keeps_the_list_but_for_what_was_chosen_since(bundle: Path, tmp_path: Path) -> None:
    run_job(bundle, tmp_path / "before", OPTIONS, users=["u9", "u1"])
    before = lists(tmp_path / "before")
    known = load_bundle(bundle)
    old = known.item_ids[known.seen[known.user_ids.index("u9")].indices[0]]
    run_job(bundle, tmp_path / "same", OPTIONS, histories=chosen(("u9", old)))
    assert lists(tmp_path / "same")["item_id"].to_list() == before.filter(user_id="u9")["item_id"].to_list()
    first = before["item_id"][0]
    run_job(bundle, tmp_path / "grown", OPTIONS, histories=chosen(("u9", first)))
    assert first not in lists(tmp_path / "grown")["item_id"]


def test_strangers_are_ranked_by_the_model_and_see_nothing_twice(bundle: Path, tmp_path: Path) -> None:
    histories = chosen(("anna", 3), ("anna", 5), ("bo", 7), ("anna", 3), ("bo", "gone"), ("cy", "gone"))
    manifest = run_job(bundle, tmp_path / "out", OPTIONS, histories=histories)
    found = lists(tmp_path / "out")
    assert found["user_id"].unique(maintain_order=True).to_list() == ["anna", "bo", "cy"]
    assert found.group_by("user_id", maintain_order=True).agg(pl.col("source").first())["source"].to_list() == [
        "model",
        "model",
        "popularity",
    ]
    assert not {"电影-3", "电影-5"} & set(found.filter(user_id="anna")["item_id"])
    assert manifest["unknown_items"] == ["gone"]
    assert (manifest["users"], "unknown" in manifest) == (3, False)


def test_what_was_not_liked_is_no_history_and_listed_no_more(bundle: Path, tmp_path: Path) -> None:
    run_job(bundle, tmp_path / "before", OPTIONS, histories=chosen(("anna", 3)))
    first = lists(tmp_path / "before")["item_id"][0]
    rated = chosen(("anna", 3), ("anna", first), ("bo", 5)).with_columns(weight=pl.Series([1.0, 0.0, -1.0]))
    run_job(bundle, tmp_path / "out", OPTIONS, histories=rated)
    found = lists(tmp_path / "out")
    assert found.filter(user_id="anna")["item_id"].to_list()[:3] == lists(tmp_path / "before")["item_id"].to_list()[1:]
    bo = found.filter(user_id="bo")
    assert set(bo["source"]) == {"popularity"} and "电影-5" not in bo["item_id"]


def test_pairs_and_processes_know_them_too(bundle: Path, tmp_path: Path) -> None:
    histories, pairs = chosen(("anna", 3), ("u9", 5), ("bo", 7)), chosen(("anna", 8), ("u2", 8), ("anna", 3), ("u9", 1))
    asked = Restrictions(pairs=pairs)
    run_job(bundle, tmp_path / "one", OPTIONS, histories=histories, restrictions=asked)
    two = OPTIONS.model_copy(update={"workers": 2})  # a start of two processes: seconds
    run_job(bundle, tmp_path / "two", two, histories=histories, restrictions=asked)
    one, two_files = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "two"))
    assert one == two_files
    found = lists(tmp_path / "one")
    assert set(found["user_id"]) == {"anna", "u2", "u9"} and set(found["source"]) == {"model"}
    run_job(bundle, tmp_path / "plain", OPTIONS, restrictions=Restrictions(pairs=chosen(("u2", 8))))
    assert found.filter(user_id="u2")["score"].to_list() == pytest.approx(lists(tmp_path / "plain")["score"].to_list())


def test_other_histories_are_another_job(bundle: Path, tmp_path: Path) -> None:
    run_job(bundle, tmp_path / "out", OPTIONS, histories=chosen(("anna", 3)))
    with pytest.raises(ScoringError, match="holds a job with options"):
        run_job(bundle, tmp_path / "out", OPTIONS, histories=chosen(("anna", 4)))
