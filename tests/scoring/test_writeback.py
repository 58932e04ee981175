"""Scored links in the embedded store."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from graph import open_store
from graph.schema import EdgeType, GraphSchema
from graph.store import GraphStore
from scoring.config import ScoringConfig
from scoring.errors import ScoringError
from scoring.job import run_job
from scoring.writeback import retract, write_back

EDGE = EdgeType("User", "RECOMMENDED", "Item")


@pytest.fixture
def store(tmp_path: Path) -> GraphStore:
    with open_store(f"ladybug:{tmp_path / 'graph'}") as opened:
        opened.create_schema(GraphSchema())
        opened.write_nodes("User", pa.table({"id": [f"u{i}" for i in range(57)]}))
        opened.write_nodes("Item", pa.table({"id": [f"电影-{i}" for i in range(40)]}))
        yield opened


def links(store: GraphStore) -> pl.DataFrame:
    batches = store.read_relationships(EDGE, ["score", "rank", "model", "created"])
    return pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in batches])


def test_links_are_the_parts_and_twice_writes_nothing(bundle: Path, store: GraphStore, tmp_path: Path) -> None:
    scores = tmp_path / "scores"
    manifest = run_job(bundle, scores, ScoringConfig(top_k=5, shard_size=20))
    steps: list[tuple[int, int]] = []
    written = write_back(
        store, scores, model_id="m1", created="2025-01-01T00:00:00", progress=lambda *step: steps.append(step)
    )
    assert written == manifest["rows"] and steps == [(1, 3), (2, 3), (3, 3)]
    parts = pl.concat([pl.read_parquet(path) for path in sorted(scores.glob("part-*"))])
    got = links(store).sort("source", "rank")
    want = parts.sort("user_id", "rank")
    assert got["source"].to_list() == want["user_id"].to_list()
    assert got["target"].to_list() == want["item_id"].to_list()
    assert got["score"].to_list() == pytest.approx(want["score"].to_list())
    assert set(got["model"]) == {"m1"} and set(got["created"]) == {"2025-01-01T00:00:00"}
    assert write_back(store, scores, model_id="m1", created="2026-01-01T00:00:00") == 0


def test_models_keep_their_own_links(bundle: Path, other_bundle: Path, store: GraphStore, tmp_path: Path) -> None:
    first = run_job(bundle, tmp_path / "a", ScoringConfig(top_k=3))["rows"]
    second = run_job(other_bundle, tmp_path / "b", ScoringConfig(top_k=3))["rows"]
    write_back(store, tmp_path / "a", model_id="a", created="t")
    write_back(store, tmp_path / "b", model_id="b", created="t")
    assert dict(links(store)["model"].value_counts().rows()) == {"a": first, "b": second}


def test_a_new_list_takes_the_place_of_the_old_one(bundle: Path, store: GraphStore, tmp_path: Path) -> None:
    long, short = (run_job(bundle, tmp_path / str(k), ScoringConfig(top_k=k))["rows"] for k in (5, 3))
    write_back(store, tmp_path / "5", model_id="m", created="t")
    assert write_back(store, tmp_path / "3", model_id="m", created="later") == long - short
    left = links(store)
    assert len(left) == short and set(left["rank"]) == {1, 2, 3} and set(left["created"]) == {"t"}
    few = tmp_path / "few"
    run_job(bundle, few, ScoringConfig(top_k=5), users=["u5", "u6"])
    assert write_back(store, few, model_id="m", created="later") == 4
    assert len(links(store)) == short + 4


def test_a_retracted_model_is_gone_and_the_other_stays(bundle: Path, store: GraphStore, tmp_path: Path) -> None:
    rows = run_job(bundle, tmp_path / "a", ScoringConfig(top_k=3))["rows"]
    for model in ("a", "b"):
        write_back(store, tmp_path / "a", model_id=model, created="t")
    assert retract(store, "a") == rows
    assert set(links(store)["model"]) == {"b"} and len(links(store)) == rows
    with pytest.raises(ScoringError, match="no links of model 'a'; it has those of b"):
        retract(store, "a")


def test_an_unfinished_job_is_refused(store: GraphStore, tmp_path: Path) -> None:
    with pytest.raises(ScoringError, match=r"no _manifest\.json, so the job is not finished"):
        write_back(store, tmp_path, model_id="m", created="t")
