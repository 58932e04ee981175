"""Questions in plain words: what is sent, what is run, and what is not."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from graph.ladybug.store import LadybugStore
from graph.neo4j.store import Neo4jStore
from graph.store import GraphStore
from modalweave.explore.questions import EXAMPLES
from tests.chat_server import Asked, ChatServer
from tests.graph.tiny_graph import write_tiny
from tests.modalweave.conftest import Outcome

Run = Callable[..., Outcome]
QUERY = "MATCH (i:Item) RETURN i.id AS item ORDER BY item LIMIT 3"


@pytest.fixture
def server() -> ChatServer:
    return ChatServer(lambda asked: {"cypher": QUERY})


@pytest.fixture
def config(tmp_path: Path, server: ChatServer) -> Path:
    with LadybugStore(tmp_path / "run" / "graph") as store:
        write_tiny(store)
    settings = {"source": {"path": str(tmp_path)}, "workspace": str(tmp_path / "run"), "language_model": server.config}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def test_a_question_becomes_a_query_that_is_shown_and_run(config: Path, server: ChatServer, modalweave: Run) -> None:
    done = modalweave("ask", "Which items are there?", config)
    assert done.code == 0, done.err
    assert QUERY in " ".join(done.out.split()) and "3 rows" in done.out
    assert f"the question and the graph's names go to http://127.0.0.1:{server.server_port}" in done.err
    answer = modalweave("ask", "Which items are there?", "--config", config, "--limit", 2, "--json").json()
    assert answer["query"] == QUERY and len(answer["rows"]) == 2 and answer["cut"] and answer["refused"] == []


def test_names_are_sent_and_no_row(config: Path, server: ChatServer, modalweave: Run, tmp_path: Path) -> None:
    modalweave("ask", "Which items are there?", config)
    ((_, _, body),) = server.asked
    system, user = body["messages"]
    assert user == {"role": "user", "content": "Which items are there?"}
    assert "(:User)-[:INTERACTED]->(:Item)" in system["content"] and '"title"' in system["content"]
    with LadybugStore(tmp_path / "run" / "graph", read_only=True) as store:
        held = store.query("MATCH (u:User) RETURN u.id AS id")["id"].to_pylist()
        held += store.query("MATCH (i:Item) RETURN i.title AS id")["id"].to_pylist()
    words = set(re.findall(r"\w+", json.dumps(body)))
    assert held and not words & set(held)


@pytest.mark.parametrize(
    "query",
    [
        "MATCH (n) DETACH DELETE n",
        "MATCH (n) SET n.title = 'x' RETURN n",
        "CREATE (n:Item {id: 'evil'}) RETURN n",
        "LOAD CSV FROM 'file:///etc/passwd' AS row RETURN row",
        "CALL dbms.listConfig()",
        "MATCH (i:Item) RETURN i; MATCH (n) DELETE n",
        "COPY Item TO '/tmp/x.csv'",
    ],
)
def test_a_query_that_writes_is_shown_as_refused_and_never_run(
    query: str, config: Path, server: ChatServer, modalweave: Run
) -> None:
    server.model = lambda asked: {"cypher": query}
    done = modalweave("ask", "Please tidy up", config)
    assert done.code == 1 and "its query was refused" in done.err and query[:20] in done.err
    assert len(server.asked) == 2
    assert "That cannot be run" in server.asked[1][2]["messages"][3]["content"]
    server.model = lambda asked: {"cypher": QUERY}
    assert len(modalweave("ask", "Still there?", config, "--json").json()["rows"]) == 3


def test_a_mistake_is_asked_for_once_more(config: Path, server: ChatServer, modalweave: Run) -> None:
    server.model = lambda asked: {"cypher": QUERY if asked.again else "MATCH (i:Itm RETURN i"}
    done = modalweave("ask", "Which items are there?", config)
    assert done.code == 0 and "refused MATCH (i:Itm RETURN i" in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("I would rather not.", "the reply is no JSON with a query"),
        ({"cypher": ""}, "the model sees no query for it in this graph"),
        ({"cypher": QUERY, "then": "delete"}, "the reply is no JSON with a query"),
    ],
)
def test_replies_without_a_query(said: object, told: str, config: Path, server: ChatServer, modalweave: Run) -> None:
    server.model = lambda asked: said
    done = modalweave("ask", "What is love?", config)
    assert done.code == 1 and told in done.err and len(done.err.strip().splitlines()) == 2


def test_what_cannot_be_asked(config: Path, server: ChatServer, modalweave: Run, tmp_path: Path) -> None:
    assert "1 to 2,000 characters" in modalweave("ask", " ", config).err
    assert modalweave("ask", "Which?").code != 0
    bare = tmp_path / "bare.yaml"
    bare.write_text(f"source: {{path: {tmp_path}}}\nworkspace: {tmp_path / 'run'}\n", encoding="utf-8")
    assert "ask needs a model" in modalweave("ask", "Which?", bare).err
    assert not server.asked


def examples_run(store: GraphStore) -> None:
    for query in EXAMPLES.values():
        store.query(query)


def test_the_examples_run(tmp_path: Path) -> None:
    with LadybugStore(tmp_path / "graph") as store:
        write_tiny(store)
        examples_run(store)


@pytest.mark.neo4j
def test_the_examples_run_on_neo4j(neo4j_store: Neo4jStore) -> None:
    write_tiny(neo4j_store)
    examples_run(neo4j_store)


def test_a_scripted_model_reads_the_question(config: Path, server: ChatServer, modalweave: Run) -> None:
    def model(asked: Asked) -> object:
        return {"cypher": f"RETURN '{asked.text}' AS said"}

    server.model = model
    assert modalweave("ask", "Lampen?", config, "--json").json()["rows"] == [{"said": "Lampen?"}]
