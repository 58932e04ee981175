"""What a language model writes, from the config to the graph and back out of it, as commands do it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml

from modalweave.config import load_config
from modalweave.serve.explorer import Explorer
from tests.chat_server import Asked, ChatServer
from tests.modalweave.conftest import Outcome
from tests.neo4j_server import Server

Run = Callable[..., Outcome]
ROOMS = ("kitchen", "bedroom", "office")
ITEMS = 18


def model(asked: Asked) -> object:
    text = " ".join(asked.record.get("texts", []))
    if asked.task == "summary":
        return {"summary": f"{asked.record['title']} in short"}
    if "<b>" in text:
        return {"room": [{"value": "<script>alert(1)</script>", "evidence": "<b>"}]}
    return {"room": [{"value": room, "evidence": room} for room in ROOMS if room in text]}


def write(folder: Path, *, held_out: str = "i0") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    titles = [f"Lamp {n}" for n in range(ITEMS)]
    pl.DataFrame({"item_id": [f"i{n}" for n in range(ITEMS)], "title": titles}).write_csv(folder / "items.csv")
    texts = [f"Lamp number {n} for the {ROOMS[n % 3]}, bright and quiet, of good make." for n in range(ITEMS)]
    texts[5] = "A lamp with <b>bold</b> words in its text."
    rows = [{"item_id": f"i{n}", "modality": "text", "content": text} for n, text in enumerate(texts)]
    pl.DataFrame(rows).write_csv(folder / "media.csv")
    pairs = [(f"secret-user-{u}", f"i{(u * 5 + k) % ITEMS}", "train") for u in range(12) for k in range(5)]
    pairs += [
        (f"secret-user-{u}", held_out, "test")
        for u in range(12)
        if (f"secret-user-{u}", held_out, "train") not in pairs
    ]
    pl.DataFrame(pairs, schema=["user_id", "item_id", "split"], orient="row").write_csv(folder / "interactions.csv")


def config(folder: Path, server: ChatServer, **keys: object) -> Path:
    settings = {
        "source": {"path": str(folder / "data")},
        "workspace": str(folder / "run"),
        "encoders": {"text": "lexical"},
        "gnn": {"model": "graph_filter"},
        "language_model": server.config,
        "enrich": {
            "triples": {"relations": {"room": {"meaning": "where it stands"}}},
            "summary": {"longer_than": 55},
        },
        **keys,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


@pytest.fixture
def server() -> ChatServer:
    return ChatServer(model)


@pytest.fixture
def shop(tmp_path: Path, server: ChatServer) -> Path:
    write(tmp_path / "data")
    return config(tmp_path, server)


def rows(modalweave: Run, name: str, path: Path) -> list[dict[str, object]]:
    done = modalweave("cypher", "--name", name, path, "--json")
    assert done.code == 0, done.err
    return done.json()["rows"]


def test_from_the_plan_to_the_graph(shop: Path, server: ChatServer, modalweave: Run) -> None:
    plan = modalweave("enrich", shop, "--dry-run", "--json").json()
    assert {task["task"]: task["calls"] for task in plan["tasks"]} == {"triples": 18, "summary": 17}
    assert not server.asked and "with no key" in plan["sends_to"]
    few = modalweave("enrich", shop, "--limit", "4", "--json").json()
    assert few["asked"] == len(server.asked) < 9
    built = modalweave("build", shop)
    assert built.code == 0, built.err
    assert "titles, texts, as far as replies are not yet kept, go to http://127.0.0.1" in built.err
    assert len(server.asked) == 35
    again = modalweave("build", shop, "--json").json()
    assert again["written"] == 0 and len(server.asked) == 35

    counts = {row["what"]: (row["model"], row["items"], row["n"]) for row in rows(modalweave, "generated", shop)}
    assert counts == {"room": ("scripted-1", 18, 18), "summary": ("scripted-1", 17, 17)}
    facts = rows(modalweave, "generated-facts", shop)
    assert facts[1] == {
        "item": "i1",
        "title": "Lamp 1",
        "relation": "room",
        "entity": "room:bedroom",
        "name": "bedroom",
        "evidence": "bedroom",
        "model": "scripted-1",
        "created": facts[1]["created"],
    }
    assert {row["text"] for row in rows(modalweave, "generated-texts", shop)} >= {"Lamp 10 in short"}
    trained = modalweave("train", shop)
    assert trained.code == 0, trained.err


def test_the_explorer_tells_a_models_words_from_the_catalogues(shop: Path, modalweave: Run) -> None:
    assert modalweave("build", shop).code == 0
    explorer = Explorer(load_config(shop).store_address)
    found = explorer.item("i1")
    explorer.close()
    assert [(fact.name, fact.model, fact.evidence) for fact in found.facts] == [("bedroom", "scripted-1", "bedroom")]
    assert {medium.role: medium.model for medium in found.media} == {"main": None, "summary": "scripted-1"}


def test_the_page_shows_items_beside_what_was_written_and_escapes_both(
    shop: Path, modalweave: Run, tmp_path: Path
) -> None:
    done = modalweave("enrich", shop, "--out", tmp_path / "page.html", "--json")
    assert done.json()["page"] == str(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page and "<script>" not in page and "<b>bold" not in page
    assert "Lamp 10 in short" in page and "bright and quiet" in page


def test_another_models_words_go_and_without_a_task_all_go(shop: Path, server: ChatServer, modalweave: Run) -> None:
    assert modalweave("build", shop).code == 0
    other = modalweave("build", shop, "--set", "language_model.model=scripted-2", "--json").json()
    assert other["written"] > 0
    assert {row["model"] for row in rows(modalweave, "generated", shop)} == {"scripted-2"}
    back = modalweave("build", shop, "--json").json()
    assert back["written"] > 0 and {row["model"] for row in rows(modalweave, "generated", shop)} == {"scripted-1"}
    plain = modalweave("build", shop, "--set", "enrich={}")
    assert plain.code == 0, plain.err
    assert rows(modalweave, "generated", shop) == []
    left = modalweave("cypher", "MATCH (e:Entity) RETURN count(e) AS n", shop, "--json").json()["rows"]
    assert left == [{"n": 0}]


def test_what_the_catalogue_says_itself_is_never_marked_generated(shop: Path, modalweave: Run, tmp_path: Path) -> None:
    own = {"head_id": ["i1"], "relation": ["room"], "tail_id": ["r7"], "tail_type": ["room"], "tail_name": ["Bedroom"]}
    pl.DataFrame(own).write_csv(tmp_path / "data" / "triples.csv")
    assert modalweave("build", shop).code == 0
    query = "MATCH (i:Item)-[r:RELATED]->(e:Entity) WHERE e.id = 'r7' RETURN i.id AS item, r.source AS source"
    found = {row["item"]: row["source"] for row in modalweave("cypher", query, shop, "--json").json()["rows"]}
    assert found.pop("i1") is None
    assert len(found) == 5 and set(found.values()) == {"generated"}  # the other bedrooms, at the same entity


def test_no_user_and_no_held_out_interaction_reaches_a_prompt(
    shop: Path, server: ChatServer, modalweave: Run, tmp_path: Path
) -> None:
    assert modalweave("enrich", shop).code == 0
    assert "secret-user" not in json.dumps([body for _, _, body in server.asked])
    number = len(server.asked)
    write(tmp_path / "data", held_out="i7")  # other held-out interactions, the same prompts: nothing is asked anew
    assert modalweave("enrich", shop, "--json").json()["kept"] == number == len(server.asked)


def test_left_out_replies_are_told(shop: Path, server: ChatServer, modalweave: Run, tmp_path: Path) -> None:
    server.model = lambda asked: "no" if asked.task == "summary" else model(asked)
    built = modalweave("build", shop)
    assert built.code == 0 and "left out enrich: 17 replies: enrich.summary: no JSON" in " ".join(built.out.split())
    quarantine = pl.read_parquet(tmp_path / "run" / "quarantine.parquet")
    assert quarantine["reason"].str.starts_with("enrich.summary").sum() == 17
    assert "Written by a language model" in (tmp_path / "run" / "coverage.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"language_model": None}, "enrich needs a model"),
        ({"language_model": {"address": "http://example.org/v1", "model": "m"}}, "must be https, or http on this"),
        ({"enrich": {"triples": {"ready": "cars"}}}, "enrich.triples.ready"),
        ({"enrich": {"tripels": {"ready": "film"}}}, "did you mean 'triples'?"),
        ({"enrich": {"attributes": ["price"], "summary": {}}}, "items have no 'price'"),
    ],
)
def test_wrong_settings_are_one_line(
    keys: dict[str, object], said: str, shop: Path, server: ChatServer, modalweave: Run, tmp_path: Path
) -> None:
    done = modalweave("build", config(tmp_path, server, **keys))
    assert done.code == 1 and said in done.err and not server.asked
    assert len([line for line in done.err.splitlines() if line.startswith("modalweave:")]) == 1


def test_no_task_is_told(shop: Path, server: ChatServer, modalweave: Run, tmp_path: Path) -> None:
    done = modalweave("enrich", config(tmp_path, server, enrich={}))
    assert done.code == 1 and "no task is named" in done.err


def test_a_killed_run_goes_on_and_ends_equal(shop: Path, server: ChatServer, modalweave: Run, tmp_path: Path) -> None:
    server.pause = 0.15
    command = [sys.executable, "-m", "modalweave", "enrich", str(shop)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while len(server.asked) < 8:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    server.pause, before = 0.0, len(server.asked)
    assert modalweave("build", shop).code == 0
    assert len(server.asked) - before <= 35 - 4  # those that had come are not asked again
    killed = (rows(modalweave, "generated-facts", shop), rows(modalweave, "generated-texts", shop))
    whole = config(tmp_path, server, workspace=str(tmp_path / "whole"))
    assert modalweave("build", whole).code == 0
    assert killed == (rows(modalweave, "generated-facts", whole), rows(modalweave, "generated-texts", whole))


@pytest.mark.neo4j
def test_on_neo4j(
    neo4j_clean: Server, server: ChatServer, modalweave: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEO4J_USERNAME", neo4j_clean.credentials[0])
    monkeypatch.setenv("NEO4J_PASSWORD", neo4j_clean.credentials[1])
    write(tmp_path / "data")
    path = config(tmp_path, server, store=neo4j_clean.address)
    assert modalweave("build", path).code == 0
    assert modalweave("build", path, "--json").json()["written"] == 0
    counts = {row["what"]: row["n"] for row in rows(modalweave, "generated", path)}
    assert counts == {"room": 18, "summary": 17}
    query = "MATCH (:Item)-[r:RELATED {source: 'generated', model: 'scripted-1'}]->(:Entity) RETURN count(r) AS n"
    assert modalweave("cypher", query, path, "--json").json()["rows"] == [{"n": 18}]
    assert modalweave("build", path, "--set", "language_model.revision=b").code == 0
    assert {row["model"] for row in rows(modalweave, "generated", path)} == {"scripted-1 b"}


def test_doctor_tells_whether_the_model_can_be_asked(
    shop: Path, server: ChatServer, modalweave: Run, tmp_path: Path
) -> None:
    def found(path: Path) -> dict[str, str]:
        checks = modalweave("doctor", path, "--json").json()["checks"]
        return next(check for check in checks if check["name"] == "language model")

    assert found(shop)["state"] == "ok" and not server.asked
    away = found(config(tmp_path, server, language_model={"address": "http://127.0.0.1:9/v1", "model": "m"}))
    assert away["state"] == "failed" and "cannot be reached" in away["fix"]
    keyless = found(config(tmp_path, server, language_model={**server.config, "key": "NO_SUCH_KEY"}))
    assert "NO_SUCH_KEY is not set" in keyless["fix"]
