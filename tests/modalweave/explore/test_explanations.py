"""`modalweave explain`: paths, their share of the model's score, the Cypher that shows them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gnn.bundle.bundle import load_bundle
from graph import open_store
from graph.views.result_graph import result_graph
from modalweave.config import load_config
from modalweave.explore.explanations import explain_item
from modalweave.progress import Stages
from modalweave.stages.build import build
from modalweave.stages.train import train
from tests.modalweave.conftest import Outcome, write_dataset

Run = Callable[..., Outcome]
MODELS = {
    "ease": "{model: ease}",
    "network": "{model: hetero, embedding_dim: 8, epochs: 3}",
    "ensemble": "{model: ensemble, ensemble: {parts: [{model: ease}, {model: popularity}, "
    "{model: hetero, network: {embedding_dim: 8, epochs: 2}}], weights: [0.5, 0.2, 0.3]}}",
}


@pytest.fixture(scope="module", params=MODELS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config whose run is built and trained."""
    folder = tmp_path_factory.mktemp(request.param)
    write_dataset(folder / "data")
    config = folder / "run.yaml"
    config.write_text(
        f"source: {{path: {folder / 'data'}}}\nworkspace: {folder / 'run'}\nsplit: {{strategy: leave_last_out}}\n"
        f"evaluation: {{k: [5], resamples: 20}}\ngnn: {MODELS[request.param]}\n",
        encoding="utf-8",
    )
    build(load_config(config), strict=True, stages=Stages(quiet=True))
    train(load_config(config), stages=Stages(quiet=True))
    return config


def best_items(config: Path, user: str, count: int) -> list[tuple[str, float]]:
    bundle = load_bundle(config.parent / "run" / "bundle")
    number = bundle.user_ids.index(user)
    scores = bundle.scorer.scores(torch.tensor([number]))[0]
    scores[bundle.seen[number].indices] = -torch.inf
    return [(bundle.item_ids[int(i)], float(scores[i])) for i in scores.topk(count).indices]


def test_contributions_add_up_to_the_models_score(trained: Path, modalweave: Run) -> None:
    for item, score in best_items(trained, "u03", 3):
        found = modalweave("explain", trained, "--user", "u03", "--item", item, "--limit", 3, "--json").json()
        model = found["model"]
        assert model["exact"]
        assert model["score"] == pytest.approx(score, rel=1e-4, abs=1e-5)
        parts = [row["contribution"] for row in model["history"]]
        assert len(parts) == 3
        assert sum(parts) + model["others"] + sum(model["rest"].values()) == pytest.approx(score, rel=1e-4, abs=1e-5)
        for row in model["history"]:
            assert sum(row["by"].values()) == pytest.approx(row["contribution"])
        assert found["note"] is None


def test_paths_start_from_the_items_that_give_most(trained: Path, modalweave: Run) -> None:
    item, _ = best_items(trained, "u03", 1)[0]
    found = modalweave("explain", trained, "--user", "u03", "--item", item, "--limit", 50, "--json").json()
    by_kind: dict[tuple[str, str | None], list[float]] = {}
    for path in found["paths"]:
        by_kind.setdefault((path["kind"], path["modality"]), []).append(path["share"])
    assert ("entity", None) in by_kind
    for shares in by_kind.values():
        assert shares == sorted(shares, reverse=True)
    listed = {row["item"]: row["share"] for row in found["model"]["history"]}
    assert all(path["share"] == pytest.approx(listed[path["nodes"][1]["id"]]) for path in found["paths"])


def test_the_cypher_shows_the_paths(trained: Path, modalweave: Run, tmp_path: Path) -> None:
    item, _ = best_items(trained, "u03", 1)[0]
    given = ("explain", trained, "--user", "u03", "--item", item)
    found = modalweave(*given, "--json", "--plot", tmp_path / "why.html").json()
    assert found["nodes"] >= 4
    assert "<circle" in (tmp_path / "why.html").read_text()
    with open_store(load_config(trained).store_address, read_only=True) as store:
        for shown in found["cypher"]:
            assert len(result_graph(store.query(shown["query"], shown["parameters"]))) >= 4
            head, query = shown["browser"].split("\n", 1)
            assert query == shown["query"]
            assert head.startswith(':params {user: "u03", item: ')
    text = modalweave(*given).out
    for expected in ("Why", "share of the score", "taken apart exactly", "In Neo4j Browser", ":params {user:"):
        assert expected in text


def test_without_a_model_paths_alone(trained: Path, modalweave: Run) -> None:
    store = load_config(trained).store_address
    item, _ = best_items(trained, "u03", 1)[0]
    found = modalweave("explain", "--store", store, "--user", "u03", "--item", item, "--json").json()
    assert found["model"] is None
    assert "no trained model" in found["note"]
    assert all(path["share"] is None for path in found["paths"])
    named = ("--bundle", trained.parent / "run" / "bundle")
    assert modalweave("explain", "--store", store, "--user", "u03", "--item", item, *named, "--json").json()["model"]
    assert "no trained model" in " ".join(
        modalweave("explain", "--store", store, "--user", "u03", "--item", item).out.split()
    )


def test_ids_cannot_leave_their_quotes(tmp_path: Path) -> None:
    import pyarrow as pa

    from graph import EdgeType, GraphSchema

    bad = 'x"}) DETACH DELETE n //\n\\'
    with open_store(f"ladybug:{tmp_path}") as store:
        store.create_schema(GraphSchema())
        store.write_nodes("User", pa.table({"id": [bad]}))
        store.write_nodes("Item", pa.table({"id": [bad, "b"]}))
        store.write_nodes("Entity", pa.table({"id": ["e"]}))
        links = pa.table({"source": [bad], "target": [bad], "split": ["train"]})
        store.write_relationships(EdgeType("User", "INTERACTED", "Item"), links)
        related = pa.table({"source": [bad, "b"], "target": ["e", "e"], "relation": ["r", "r"]})
        store.write_relationships(EdgeType("Item", "RELATED", "Entity"), related)
        shown = explain_item(store, bad, "b", bundle=None, limit=5).cypher[0]
    head = shown.browser.split("\n")[0]
    inner = head.removeprefix(":params {user: ").removesuffix("}")
    assert json.JSONDecoder().raw_decode(inner)[0] == bad
    assert len(shown.browser.splitlines()) == 1 + len(shown.query.splitlines())
