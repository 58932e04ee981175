"""The whole path through the command line: what a user types, what lies in the workspace afterwards."""

import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

Run = Callable[..., Any]
METRICS = {f"{m}@{k}" for m in ("recall", "precision", "f1", "ndcg", "map", "hit") for k in (5, 10)} | {"mrr"}


@pytest.fixture
def trained(config: Path, modalweave: Run) -> Path:
    assert modalweave("run", config).code == 0
    return config


def test_build_tells_what_it_wrote_and_a_second_one_writes_nothing(config: Path, modalweave: Run) -> None:
    first = modalweave("build", config, "--json").json()
    second = modalweave("build", config, "--json").json()
    assert first["nodes"]["User"] == 60
    assert first["nodes"]["Item"] == 40
    assert first["nodes"]["Entity"] == 4
    assert first["relationships"]["INTERACTED"] == 420
    assert first["coverage"] == {"image": 1.0}
    assert first["written"] == sum(first["nodes"].values()) + sum(first["relationships"].values())
    assert second["written"] == 0
    assert second["nodes"] == first["nodes"]


def test_a_run_leaves_every_product(trained: Path) -> None:
    workspace = trained.parent / "run"
    for name in ("graph", "embeddings", "quarantine.parquet", "coverage.html", "bundle/manifest.json"):
        assert (workspace / name).exists(), name
    metrics = json.loads((workspace / "metrics.json").read_text())
    assert metrics["split"] == "test"
    assert set(metrics["metrics"]) == METRICS
    low, high = metrics["metrics"]["recall@10"]["ci95"]
    assert low <= metrics["metrics"]["recall@10"]["mean"] <= high
    assert "<html" in (workspace / "report.html").read_text()
    scores = pq.read_table(workspace / "scores" / "part-00000.parquet")
    assert scores.column_names == ["user_id", "item_id", "rank", "score", "source"]


def test_the_model_finds_the_taste_that_popularity_cannot(trained: Path) -> None:
    metrics = json.loads((trained.parent / "run" / "metrics.json").read_text())
    assert metrics["metrics"]["recall@5"]["mean"] > 2 * metrics["baselines"]["popularity"]["recall@5"]["mean"]


def test_the_report_tests_the_difference_to_every_baseline(trained: Path) -> None:
    workspace = trained.parent / "run"
    metrics = json.loads((workspace / "metrics.json").read_text())
    assert list(metrics["baselines"]) == ["popularity", "item_knn", "graph_filter"], "ease is the model itself"
    assert len(metrics["comparisons"]) == 3 * len(metrics["metrics"])
    rows = {row["metric"]: row for row in metrics["comparisons"] if row["baseline"] == "popularity"}
    assert set(rows) == set(metrics["metrics"])
    ours, theirs = metrics["metrics"]["recall@5"], metrics["baselines"]["popularity"]["recall@5"]
    assert rows["recall@5"]["difference"] == pytest.approx(ours["mean"] - theirs["mean"])
    assert rows["recall@5"]["p_wilcoxon"] < 1e-6
    assert rows["recall@5"]["p_bootstrap"] <= 0.025  # though so many tests were made
    assert "popularity" not in metrics["headline"] or "ahead in all" in metrics["headline"]
    page = (workspace / "report.html").read_text()
    assert "Is the difference real?" in page
    assert escape(metrics["headline"]) in page


def test_the_card_says_what_the_manifest_holds(trained: Path) -> None:
    from graph import open_store
    from graph.schema import GraphSchema

    bundle = trained.parent / "run" / "bundle"
    manifest = json.loads((bundle / "manifest.json").read_text())
    card = (bundle / "README.md").read_text()
    for key in ("model", "dataset", "dataset_fingerprint", "graph_schema", "users", "items", "seed"):
        assert f"| {key} | {manifest[key]} |" in card, key
    assert card.startswith(f"# Recommender bundle: {manifest['dataset']}")
    assert "Measured on held-out interactions (valid split)" in card
    with open_store(f"ladybug:{trained.parent / 'run' / 'graph'}") as store:
        own = GraphSchema().with_dimensions({"Image": len(_vector(store))})
        for label in ("User", "Item"):
            own = own.with_attributes(label, store.attributes(label))
    assert manifest["graph_schema"] == own.hash() != GraphSchema().hash()


def _vector(store: Any) -> list[float]:
    (row,) = store.query("MATCH (i:Image) RETURN i.embedding AS vector LIMIT 1").to_pylist()
    return row["vector"]


def test_nothing_known_is_recommended_whatever_its_split(trained: Path) -> None:
    scores = pq.read_table(trained.parent / "run" / "scores" / "part-00000.parquet").to_pylist()
    known = pq.read_table(trained.parent / "data" / "interactions.parquet").to_pylist()
    assert not {(row["user_id"], row["item_id"]) for row in known} & {(r["user_id"], r["item_id"]) for r in scores}


def test_explain_names_the_shared_maker(trained: Path, modalweave: Run) -> None:
    scores = pq.read_table(trained.parent / "run" / "scores" / "part-00000.parquet").to_pylist()
    triples = pq.read_table(trained.parent / "data" / "triples.parquet").to_pylist()
    maker_of = {triple["head_id"]: triple["tail_id"] for triple in triples}
    # a user's taste is one group of items, and the items of a group have one maker
    row = next(row for row in scores if maker_of[row["item_id"]] == f"m{int(row['user_id'][1:]) % 4}")
    found = modalweave("explain", trained, "--user", row["user_id"], "--item", row["item_id"], "--json").json()
    assert found["user"] == row["user_id"]
    assert all(path["sentence"] for path in found["paths"])
    maker = maker_of[row["item_id"]]
    shared = [path for path in found["paths"] if {"label": "Entity", "id": maker}.items() <= path["nodes"][2].items()]
    assert shared
    for path in shared:
        assert maker_of[path["nodes"][1]["id"]] == maker  # of the item that the user chose
        assert f"is related to {maker} (made by)" in path["sentence"]


def test_cypher_reads_and_refuses_to_write(trained: Path, modalweave: Run) -> None:
    rows = modalweave("cypher", "MATCH (i:Item) RETURN count(i) AS n", trained, "--json").json()
    assert rows["rows"] == [{"n": 40}]
    refused = modalweave("cypher", "MATCH (i:Item) DETACH DELETE i", trained)
    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert modalweave("cypher", "MATCH (i:Item) RETURN count(i) AS n", trained, "--json").json()["rows"] == [{"n": 40}]


def test_training_again_gives_the_same_bundle(trained: Path, modalweave: Run) -> None:
    first = modalweave("train", trained, "--json").json()
    second = modalweave("train", trained, "--json").json()
    assert first["bundle"] == second["bundle"]
    assert first["graph"] == second["graph"]


def test_scores_written_back_are_links_of_the_graph(trained: Path, modalweave: Run) -> None:
    workspace = trained.parent / "run"
    store = f"ladybug:{workspace / 'graph'}"
    arguments = ("score", workspace / "bundle", "--out", workspace / "more", "--top-k", 3, "--write-back", store)
    done = modalweave(*arguments, "--json")
    assert done.code == 0, done.err
    count = modalweave(
        "cypher", "MATCH (:User)-[r:RECOMMENDED]->(:Item) RETURN count(r) AS n", trained, "--json"
    ).json()
    assert count["rows"] == [{"n": done.json()["rows"]}]
    model = done.json()["bundle"]
    gone = modalweave("retract", "--model", model, "--store", store, "--json")
    assert gone.code == 0 and gone.json()["removed"] == done.json()["rows"]
    again = modalweave("retract", trained, "--model", model)
    assert again.code == 1 and "no links of model" in again.err
    assert modalweave(*arguments).code == 0
    # links of the model itself must not change what it is trained and measured on
    assert modalweave("evaluate", trained, "--json").code == 0
