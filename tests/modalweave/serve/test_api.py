"""The JSON API answers what the Python API answers, and refuses what it has to in one line."""

from typing import Any

import pytest
from starlette.testclient import TestClient

import modalweave as mw
from modalweave.serve.app import make_app
from modalweave.serve.explorer import Explorer
from modalweave.serve.guard import Access
from tests.graph.readonly.test_attacks import ATTACKS

USER, ITEM = "u001", "i040"


def test_recommendations_are_those_of_the_run(client: TestClient, run: mw.Run) -> None:
    found = client.get("/api/recommend", params={"user": USER, "k": 5}).json()
    table = run.recommend([USER], 5)
    assert [one["id"] for one in found["items"]] == table["item_id"].to_list()
    assert [one["score"] for one in found["items"]] == pytest.approx(table["score"].to_list())
    assert {one["source"] for one in found["items"]} == {"model"}


def test_people_whom_the_model_never_met_are_served_by_their_history(client: TestClient, run: mw.Run) -> None:
    history = [{"user_id": "anna", "item_id": ITEM}, {"user_id": "anna", "item_id": "i041"}]
    (found,) = client.post("/api/recommend", json={"histories": history, "k": 3, "exclude": ["i050"]}).json()
    table = run.recommend(histories=[("anna", ITEM), ("anna", "i041")], k=3, exclude=["i050"])
    assert found["user"] == "anna" and [one["id"] for one in found["items"]] == table["item_id"].to_list()


def test_no_item_to_choose_from_is_told(client: TestClient) -> None:
    for asked in ({"items": []}, {"items": [], "at_most": 2, "per": "category"}, {"where": "price < 0"}):
        answer = client.post("/api/recommend", json={"users": [USER], **asked})
        assert answer.status_code == 400 and "0 of 60 items are left" in answer.json()["error"]


def test_similar_items_are_those_of_the_run(client: TestClient, run: mw.Run) -> None:
    for by in ("model", "text", "image", "audio"):
        found = client.get("/api/similar", params={"item": ITEM, "by": by, "k": 4}).json()
        assert [one["id"] for one in found] == run.similar(ITEM, by=by, k=4)["item_id"].to_list()


def test_an_explanation_is_that_of_the_run(client: TestClient, run: mw.Run) -> None:
    item = run.recommend([USER], 1)["item_id"][0]
    found = client.get("/api/explain", params={"user": USER, "item": item}).json()
    expected = run.explain(USER, item)
    assert [path["sentence"] for path in found["paths"]] == list(expected.sentences)
    assert found["model"]["score"] == pytest.approx(expected.model.score)
    drawn = client.get("/api/why", params={"user": USER, "item": item}).json()
    shown = {f"{node.label}:{node.id}" for path in expected.paths for node in path.nodes}
    assert {node["key"] for node in drawn["nodes"]} == shown
    assert len(drawn["links"]) >= len(shown) - 1


def test_an_item_holds_what_the_graph_does(client: TestClient, run: mw.Run) -> None:
    found = client.get("/api/item", params={"id": ITEM}).json()
    choosers = run.cypher("MATCH (u:User)-[:INTERACTED]->(i:Item {id: $i}) RETURN count(*) AS n", {"i": ITEM})["n"][0]
    assert found["chosen"] == choosers == sum(month["count"] for month in found["months"])
    assert {medium["modality"] for medium in found["media"]} == {"text", "image", "audio"}
    assert found["picture"] in {medium["id"] for medium in found["media"]}
    alike = {group["modality"]: group["items"] for group in found["alike"]}
    assert alike["image"][0]["id"] == run.similar(ITEM, by="image", k=1)["item_id"][0]


def test_a_user_holds_what_the_graph_does(client: TestClient, run: mw.Run) -> None:
    found = client.get("/api/user", params={"id": USER}).json()
    assert found["known"] is True and found["chosen"] == len(found["history"])
    times = [one["timestamp"] for one in found["history"]]
    assert times == sorted(times, reverse=True)
    assert client.get("/api/user", params={"id": "nobody"}).status_code == 404


def test_words_find_items_people_and_entities(client: TestClient) -> None:
    title = client.get("/api/item", params={"id": ITEM}).json()["title"]
    found = client.get("/api/search", params={"q": title.upper()}).json()
    assert found["items"][0]["id"] == ITEM
    assert client.get("/api/search", params={"q": "u00"}).json()["users"][0]["id"] == "u001"
    assert client.get("/api/search", params={"q": "静"}).json()["items"][0]["title"] == "灯<b>静</b>"
    meant = client.get("/api/search", params={"q": "something to sleep well", "by": "text", "k": 3}).json()
    assert len(meant["items"]) == 3


def test_a_query_says_when_its_limit_cut_it(client: TestClient) -> None:
    question = {"query": "MATCH (i:Item) RETURN i.id AS item ORDER BY item", "limit": 7}
    found = client.post("/api/cypher", json=question).json()
    assert found["cut"] and len(found["rows"]) == 7
    assert not client.post("/api/cypher", json={**question, "limit": 60}).json()["cut"]


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(client: TestClient, name: str) -> None:
    for path in ("/api/cypher", "/api/graph"):
        answer = client.post(path, json={"query": ATTACKS[name]})
        assert answer.status_code in (400, 422) and "\n" not in answer.json()["error"]
    if len(ATTACKS[name]) < 20_000:  # the page's address holds no more
        assert client.get("/cypher", params={"query": ATTACKS[name]}).status_code == 400


def test_nothing_was_written_by_them(client: TestClient, run: mw.Run) -> None:
    assert client.get("/api/overview").json()["nodes"]["Item"] == 60 == run.cypher("MATCH (i:Item) RETURN i.id").height


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/item?id=nobody", 404),
        ("/api/item", 422),
        ("/api/item?id=" + "x" * 1001, 422),
        ("/api/recommend?user=nobody", 400),
        ("/api/recommend?user=u001&k=0", 422),
        ("/api/recommend?user=u001&k=1001", 422),
        ("/api/similar?item=nobody&by=image", 404),
        ("/api/similar?item=nobody", 400),
        ("/api/explain?user=u001&item=nobody", 404),
        ("/api/graph?label=Nothing&id=x", 400),
        ("/api/graph?label=Item&id=i040&type=NOTHING", 400),
        ("/api/graph?label=Item)%20DETACH%20DELETE%20(n&id=x", 400),
        ("/api/search?q=x&by=image", 400),
        ("/api/nothing", 404),
    ],
)
def test_what_cannot_be_answered_says_why_in_one_line(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error and "\n" not in error and "Traceback" not in error


def test_a_drawing_keeps_to_its_kinds_and_its_size(client: TestClient) -> None:
    found = client.get("/api/graph", params={"label": "Item", "id": ITEM, "type": ["RELATED", "HAS_IMAGE"]}).json()
    assert {link["type"] for link in found["links"]} == {"RELATED", "HAS_IMAGE"}
    assert all(f"Item:{ITEM}" in (link["source"], link["target"]) for link in found["links"])
    many = client.post("/api/graph", json={"query": "MATCH (u:User)-[r:INTERACTED]->(i:Item) RETURN u, r, i"}).json()
    assert len(many["nodes"]) <= 300


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, run: mw.Run) -> TestClient:
    """The same graph, named by its store alone."""
    return TestClient(make_app(Explorer(run.config.store_address), Access()), base_url="http://localhost")


def test_a_store_alone_can_be_looked_at(bare: TestClient) -> None:
    assert bare.get("/api/item", params={"id": ITEM}).json()["chosen"] > 0
    assert bare.get("/user", params={"id": USER}).status_code == 200
    refused = bare.get("/api/recommend", params={"user": USER})
    assert refused.status_code == 503 and "--bundle" in refused.json()["error"]


def test_a_missing_store_says_what_to_do(tmp_path: Any) -> None:
    nowhere = TestClient(make_app(Explorer(f"ladybug:{tmp_path / 'none'}"), Access()), base_url="http://localhost")
    answer = nowhere.get("/api/overview")
    assert answer.status_code == 503 and "build" in answer.json()["error"]
    assert nowhere.get("/").status_code == 503
