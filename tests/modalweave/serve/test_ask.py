"""Questions in plain words in the explorer: made into a query that is shown and run, or told why not."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

import modalweave as mw
from encoders.chat import LanguageModelConfig
from modalweave.serve.app import make_app
from modalweave.serve.explorer import Explorer
from modalweave.serve.guard import Access
from tests.chat_server import ChatServer
from tests.modalweave.serve.conftest import HOSTILE, seal_of

QUERY = "MATCH (i:Item) RETURN i.id AS item ORDER BY item LIMIT 2"


@pytest.fixture
def server() -> ChatServer:
    return ChatServer(lambda asked: {"cypher": QUERY})


@pytest.fixture
def asking(run: mw.Run, server: ChatServer) -> Iterator[TestClient]:
    model = LanguageModelConfig.model_validate(server.config)
    explorer = Explorer(run.config.store_address, config=run.config.model_copy(update={"language_model": model}))
    yield TestClient(make_app(explorer, Access()), base_url="http://127.0.0.1:8420")
    explorer.close()


def ask(client: TestClient, question: str, seal: str | None = None):
    form = {"question": question, "seal": seal_of(client, "/cypher") if seal is None else seal}
    return client.post("/cypher/ask", data=form, headers={"Origin": "http://127.0.0.1:8420"})


def test_a_question_is_answered_by_a_query_that_stands_in_the_address(asking: TestClient, server: ChatServer) -> None:
    page = asking.get("/cypher").text
    assert "Ask in your own words" in page and f"127.0.0.1:{server.server_port}" in page
    found = ask(asking, "Which items are there?")
    assert found.status_code == 200 and found.history[0].status_code == 303
    assert found.url.params["query"] == QUERY and found.url.params["asked"] == "Which items are there?"
    assert "2 rows in" in found.text and 'value="Which items are there?"' in found.text
    assert len(server.asked) == 1  # looking at the page again asks nothing
    assert asking.get(found.url).status_code == 200 and len(server.asked) == 1


def test_it_speaks_chinese(asking: TestClient) -> None:
    page = asking.get("/cypher?lang=zh").text
    assert "用自己的话提问" in page and "您的问题和图中的名称会发往" in page


def test_a_query_that_writes_is_told_and_not_run(asking: TestClient, server: ChatServer) -> None:
    server.model = lambda asked: {"cypher": "MATCH (n) DETACH DELETE n"}
    found = ask(asking, "Tidy up")
    assert found.status_code == 400 and "its query was refused" in found.text and 'value="Tidy up"' in found.text
    assert "2 rows in" in asking.get("/cypher", params={"query": QUERY}).text  # all is still there


def test_a_server_that_is_away_is_told(asking: TestClient, server: ChatServer) -> None:
    server.faults = [(401, {}, "no such key")]
    found = ask(asking, "Which?")
    assert found.status_code == 400 and "refused: HTTP 401 no such key" in found.text


def test_only_our_own_form_asks(asking: TestClient, server: ChatServer) -> None:
    assert ask(asking, "Which?", seal="guess").status_code == 400
    assert asking.get("/cypher/ask").status_code == 405
    assert not server.asked


def test_questions_and_answers_are_text(asking: TestClient, server: ChatServer) -> None:
    for attack in HOSTILE[:12]:
        server.model = lambda asked, attack=attack: {"cypher": "", "x": attack} if len(attack) > 30 else attack
        text = ask(asking, attack).text
        assert "<script>alert" not in text and "onerror=alert(1)>" not in text.replace("&#34;", "")


def test_without_a_model_there_is_no_box(client: TestClient) -> None:
    assert "Ask in your own words" not in client.get("/cypher").text
    assert ask(client, "Which?", seal=seal_of(client)).status_code == 400
