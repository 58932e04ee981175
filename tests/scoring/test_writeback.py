"""Scored links in a store: whose they are, and the same graph however often the job was killed."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from graph import open_store
from graph.neo4j.store import Neo4jStore
from graph.schema import EdgeType, GraphSchema
from graph.store import GraphStore
from scoring.config import ScoringConfig
from scoring.errors import ScoringError, Stopped
from scoring.job import run_job
from scoring.writeback import UNDER_WAY, retract, write_back
from tests.devserver import Server

ROOT = Path(__file__).parents[2]
EDGE = EdgeType("User", "RECOMMENDED", "Item")


@contextmanager
def empty_store(folder: Path) -> Iterator[GraphStore]:
    with open_store(f"ladybug:{folder}") as opened:
        filled(opened)
        yield opened


def filled(store: GraphStore) -> None:
    store.create_schema(GraphSchema())
    store.write_nodes("User", pa.table({"id": [f"u{i}" for i in range(57)]}))
    store.write_nodes("Item", pa.table({"id": [f"电影-{i}" for i in range(40)]}))


@pytest.fixture
def store(tmp_path: Path) -> GraphStore:
    with empty_store(tmp_path / "graph") as opened:
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


KILLED = textwrap.dedent("""
    import os, signal, sys
    from graph.ladybug.store import LadybugStore
    from graph.neo4j import write
    from graph.neo4j.connection import Connection
    from modalweave.stores import connect
    from scoring import writeback

    left, replace, transact = 3, LadybugStore.replace_relationships, Connection.transact
    writeback._ROWS = write.LIST_ROWS = 60

    def killed(inner):
        def call(*args, **options):
            global left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return inner(*args, **options)

        return call

    with connect(sys.argv[1]) as store:
        LadybugStore.replace_relationships, Connection.transact = killed(replace), killed(transact)
        writeback.write_back(store, sys.argv[2], model_id="m", created="first")
""")


@pytest.fixture(scope="module")
def jobs(bundle: Path, other_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Lists that are there before, and those that take their place."""
    root = tmp_path_factory.mktemp("jobs")
    run_job(other_bundle, root / "before", ScoringConfig(top_k=3))
    run_job(bundle, root / "after", ScoringConfig(top_k=5, shard_size=10))
    return root / "before", root / "after"


@pytest.fixture(scope="module")
def undisturbed(jobs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    with empty_store(tmp_path_factory.mktemp("undisturbed") / "graph") as store:
        for folder, created in zip(jobs, ("before", "first"), strict=True):
            write_back(store, folder, model_id="m", created=created)
        return ordered(store)


def ordered(store: GraphStore) -> pl.DataFrame:
    return links(store).sort("source", "target").select("source", "target", "score", "rank", "model", "created")


def kill_while_writing(address: str, scores: Path, **environment: str) -> None:
    command = [sys.executable, "-c", KILLED, address, str(scores)]
    got = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert got.returncode == -9, got.stderr


def went_on(store: GraphStore, scores: Path, undisturbed: pl.DataFrame) -> None:
    """Some was written before the kill, the rest is now, all with the first call's time; nothing twice."""
    done = links(store).filter(created="first").height
    assert 0 < done < undisturbed.filter(created="first").height
    assert write_back(store, scores, model_id="m", created="later") > 0
    assert ordered(store).equals(undisturbed)
    assert not (scores / UNDER_WAY).exists()
    assert write_back(store, scores, model_id="m", created="much later") == 0


def test_a_killed_write_back_goes_on(jobs: tuple[Path, Path], undisturbed: pl.DataFrame, tmp_path: Path) -> None:
    before, after = jobs
    with empty_store(tmp_path / "graph") as store:
        write_back(store, before, model_id="m", created="before")
    kill_while_writing(f"ladybug:{tmp_path / 'graph'}", after)
    with open_store(f"ladybug:{tmp_path / 'graph'}") as store:
        went_on(store, after, undisturbed)


@pytest.mark.neo4j
def test_a_killed_write_back_goes_on_in_a_server(
    jobs: tuple[Path, Path], undisturbed: pl.DataFrame, neo4j_clean: Server, neo4j_store: Neo4jStore
) -> None:
    before, after = jobs
    filled(neo4j_store)
    write_back(neo4j_store, before, model_id="m", created="before")
    user, password = neo4j_clean.credentials
    kill_while_writing(neo4j_clean.address, after, NEO4J_USERNAME=user, NEO4J_PASSWORD=password)
    went_on(neo4j_store, after, undisturbed)


def test_a_stopped_write_back_goes_on(
    jobs: tuple[Path, Path], undisturbed: pl.DataFrame, store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = jobs
    write_back(store, before, model_id="m", created="before")
    monkeypatch.setattr("scoring.writeback._ROWS", 60)
    with pytest.raises(Stopped, match="2 of 6 parts are written back; the same call goes on"):
        write_back(store, after, model_id="m", created="first", stop=lambda: True)
    went_on(store, after, undisturbed)


def test_links_of_partitions_at_an_address(bundle: Path, store: GraphStore) -> None:
    options = ScoringConfig(top_k=5, shard_size=20, partition_by="shard")
    manifest = run_job(bundle, "memory://write-back", options)
    assert write_back(store, "memory://write-back", model_id="m", created="t") == manifest["rows"]


def test_a_manifest_names_no_file_elsewhere(bundle: Path, store: GraphStore, tmp_path: Path) -> None:
    run_job(bundle, tmp_path / "out", ScoringConfig(top_k=2))
    manifest = tmp_path / "out" / "_manifest.json"
    whole = manifest.read_text()
    manifest.write_text(whole.replace("part-00000", "../part-00000"))
    with pytest.raises(ScoringError, match=r"names '\.\./part-00000\.parquet', which is no part"):
        write_back(store, tmp_path / "out", model_id="m", created="t")
    manifest.write_text(whole)
    (tmp_path / "out" / "part-00000.parquet").unlink()
    with pytest.raises(ScoringError, match=r"lacks part-00000\.parquet; run the job again"):
        write_back(store, tmp_path / "out", model_id="m", created="t")
