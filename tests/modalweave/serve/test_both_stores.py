"""A real Neo4j server answers every question as the embedded store does."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import modalweave as mw
from modalweave.serve.app import make_app
from modalweave.serve.explorer import Explorer
from modalweave.serve.guard import Access
from tests.devserver import Server
from tests.modalweave.conftest import write_dataset

QUESTIONS = [
    "/api/item?id=i05",
    "/api/user?id=u03",
    "/api/search?q=item 1",
    "/api/search?q=u0",
    "/api/similar?item=i05&by=image",
    "/api/similar?item=i05",
    "/api/recommend?user=u03",
    "/api/explain?user=u03&item=i07",
    "/api/why?user=u03&item=i07",
    "/api/graph?label=Item&id=i05",
    "/api/graph?label=Entity&id=m1&type=RELATED",
    "/api/graph?label=User&id=u03",
]


@pytest.mark.neo4j
def test_both_stores_answer_alike(neo4j_clean: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user, password = neo4j_clean.credentials
    monkeypatch.setenv("NEO4J_USERNAME", user)
    monkeypatch.setenv("NEO4J_PASSWORD", password)
    source = {"format": "folder", "path": str(write_dataset(tmp_path / "data"))}
    clients = []
    for name, store in (("embedded", "ladybug"), ("server", neo4j_clean.address)):
        run = mw.Run(
            {
                "source": source,
                "name": name,
                "workspace": str(tmp_path / name),
                "store": store,
                "gnn": {"model": "ease"},
            },
            progress=False,
        )
        run.build()
        run.train()
        explorer = Explorer(run.config.store_address, config=run.config)
        clients.append(TestClient(make_app(explorer, Access()), base_url="http://localhost"))
    embedded, server = clients
    for question in QUESTIONS:
        expected, found = embedded.get(question), server.get(question)
        assert (expected.status_code, found.status_code) == (200, 200), (question, expected.text, found.text)
        assert comparable(found.json()) == comparable(expected.json()), question
    for page in ("/", "/item?id=i05", "/user?id=u03", "/why?user=u03&item=i07", "/graph", "/cypher?name=popular-items"):
        assert server.get(page).status_code == 200
    drawn = "MATCH (i:Item)-[r:RELATED]->(e:Entity) RETURN i, r, e"
    graphs = [client.post("/api/graph", json={"query": drawn}).json() for client in clients]
    assert sorted(node["key"] for node in graphs[0]["nodes"]) == sorted(node["key"] for node in graphs[1]["nodes"])
    pictures = [
        client.get("/cypher", params={"query": "MATCH (i:Item) RETURN i", "view": "pictures"}) for client in clients
    ]
    assert all(page.text.count('class="card"') == 40 for page in pictures)
    refused = server.post("/api/cypher", json={"query": "MATCH (n) DETACH DELETE n"})
    assert refused.status_code == 400


def comparable(answer: Any) -> Any:
    """Without what differs by store: seconds, the model's hash; lists that have no order sorted, numbers rounded."""
    if isinstance(answer, dict):
        left = ("seconds", "bundle", "store", "browser")
        return {key: comparable(value) for key, value in answer.items() if key not in left}
    if isinstance(answer, list):
        listed = [comparable(value) for value in answer]
        return sorted(listed, key=str) if listed and isinstance(listed[0], dict) else listed
    return round(answer, 4) if isinstance(answer, float) else answer
