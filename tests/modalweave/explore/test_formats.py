"""Results as files and pictures, through the command line."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pyarrow.parquet as pq
import pytest
from PIL import Image

from graph import open_store
from modalweave.explore.graph_drawing import MOST_NODES, draw
from tests.graph.tiny_graph import write_tiny
from tests.modalweave.conftest import Outcome

Run = Callable[..., Outcome]
TITLES = "MATCH (i:Item) RETURN i.id AS id, i.title AS title ORDER BY id"
LINKS = "MATCH (u:User)-[r:INTERACTED]->(i:Item) RETURN u, r, i"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    address = f"ladybug:{tmp_path_factory.mktemp('formats')}"
    with open_store(address) as graph:
        write_tiny(graph)
    return address


def test_stdout(store: str, modalweave: Run) -> None:
    as_json = modalweave("cypher", TITLES, "--store", store, "--json").json()
    assert as_json == modalweave("cypher", TITLES, "--store", store, "--format", "json").json()
    assert as_json["rows"][2] == {"id": "film_c", "title": "Crows é 電影"}
    rows = list(csv.reader(io.StringIO(modalweave("cypher", TITLES, "--store", store, "--format", "csv").out)))
    assert rows == [["id", "title"], ["film_a", "Ants"], ["film_b", "Bees"], ["film_c", "Crows é 電影"], ["film_d", ""]]


def test_files(store: str, modalweave: Run, tmp_path: Path) -> None:
    for name in ("rows.json", "rows.csv", "rows.parquet"):
        done = modalweave("cypher", TITLES, "--store", store, "--out", tmp_path / name, "--json")
        assert done.json() == {"out": str(tmp_path / name), "rows": 4}
    assert pq.read_table(tmp_path / "rows.parquet").to_pylist()[0] == {"id": "film_a", "title": "Ants"}
    assert json.loads((tmp_path / "rows.json").read_text())["columns"] == ["id", "title"]
    nested = modalweave("cypher", LINKS, "--store", store, "--format", "csv").out
    assert json.loads(next(iter(csv.DictReader(io.StringIO(nested))))["u"])["_LABEL"] == "User"


def test_what_does_not_fit_is_one_line(store: str, modalweave: Run, tmp_path: Path) -> None:
    for arguments, message in (
        (("--format", "parquet"), "name a file"),
        (("--out", tmp_path / "rows.xlsx"), "no format ends in '.xlsx'"),
        (("--out", tmp_path / "rows.csv", "--format", "table"), "for the terminal"),
        (("--plot", tmp_path / "plot.svg"), "use .png or .html"),
        (("--plot", tmp_path / "plot.png", "--param", "x=1"), "no nodes to draw"),
    ):
        query = "MATCH (i:Item) RETURN count(i) AS n" if "x=1" in arguments else LINKS
        outcome = modalweave("cypher", query, "--store", store, *arguments)
        assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)
        assert message in outcome.err
    assert list(tmp_path.iterdir()) == []
    assert modalweave("cypher", LINKS, "--store", store, "--param", "nonsense").code == 2


def test_pictures(store: str, modalweave: Run, tmp_path: Path) -> None:
    for name in ("a.png", "b.html"):
        done = modalweave("cypher", LINKS, "--store", store, "--plot", tmp_path / name)
        assert done.code == 0, done.err
        assert "nodes: 7" in done.out
    with Image.open(tmp_path / "a.png") as picture:
        assert min(picture.size) > 500
        assert picture.convert("L").getextrema()[0] < 100
    page = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert page.count("<circle") == 7
    assert "Crows é 電影" in page


def test_nothing_from_the_graph_is_markup(tmp_path: Path) -> None:
    graph = nx.MultiDiGraph()
    bad = "</title><script>alert(1)</script>$\\frac{$ {lines} $dots"
    graph.add_node("a", label=bad, caption=bad, properties={bad: bad})
    graph.add_node("b", label="Item", caption="電影", properties={})
    graph.add_edge("a", "b", type=bad, properties={"x": bad})
    draw(graph, tmp_path / "x.html", title=bad)
    draw(graph, tmp_path / "x.png", title=bad)
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("</title>") == 1 + 3
    assert page.count("{lines} $dots") > 5  # shown as it is, wherever it is
    assert "default-src 'none'" in page
    assert page.count("<circle") == 2


def test_a_large_graph_is_cut(tmp_path: Path) -> None:
    graph = nx.MultiDiGraph()
    for node in range(MOST_NODES + 50):
        graph.add_node(node, label="Item", caption=str(node), properties={})
    assert draw(graph, tmp_path / "x.html", title="many").left_out == 50
    assert f"first {MOST_NODES} of {MOST_NODES + 50}" in (tmp_path / "x.html").read_text()
