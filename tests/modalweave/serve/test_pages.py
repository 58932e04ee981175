"""Every page, over a catalogue in which every text attacks it."""

import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import modalweave as mw
import modalweave.serve
from modalweave.serve import language
from modalweave.serve.app import make_app
from modalweave.serve.explorer import Explorer
from modalweave.serve.guard import POLICY, Access
from tests.modalweave.serve.conftest import HOSTILE, openapi

ITEMS = [f"i{number:03d}" for number in range(1, len(HOSTILE) + 1)]
PAGES = [
    "/",
    "/search",
    "/search?q=a",
    "/search?q=script",
    "/graph",
    "/graph?label=Entity&id=maker:0",
    "/cypher",
    "/cypher?name=popular-items",
    "/cypher?name=popular-items&view=pictures",
    "/cypher?name=popular-items&view=graph",
    "/cypher?name=item-entities&p.item=i001",
    "/cypher?query=MATCH (i:Item) RETURN i LIMIT 40",
    "/cypher?query=MATCH (i:Item)-[r:RELATED]->(e:Entity) RETURN i, r, e LIMIT 40&view=graph",
    "/compare",
    "/compare?user=<script>alert(1)</script>",
    "/runs",
    "/login",
    "/user?id=u001",
    "/user?id=u001&add=i001&add=i002&remove=i003",
    "/why?user=u001&item=i001",
    "/why?user=u002&item=i040",
    "/nothing",
    "/item?id=<script>alert(1)</script>",
    "/search?q=</title><script>alert(1)</script>",
    "/cypher?query=</textarea><script>alert(1)</script>",
    "/user?id=u001&add=<script>alert(1)</script>",
    '/login?next="><script>alert(1)</script>',
    *(f"/item?id={item}" for item in ITEMS),
]
EXPECTED = {
    "/nothing": 404,
    "/item?id=<script>alert(1)</script>": 404,
    "/cypher?query=</textarea><script>alert(1)</script>": 400,
    "/user?id=u001&add=<script>alert(1)</script>": 400,
}


class Tags(HTMLParser):
    """What a browser would make elements and attributes of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)


OURS = re.compile(r"(/|#|$)")
NEVER = {"iframe", "style", "base", "math", "object", "embed", "mtext", "mglyph", "x", "b"}


@pytest.mark.parametrize("page", PAGES)
def test_nothing_of_a_catalogue_is_more_than_text(client: TestClient, page: str) -> None:
    answer = client.get(page)
    assert answer.status_code == EXPECTED.get(page, 200), answer.text
    assert answer.headers["content-security-policy"] == POLICY
    for tag, attributes in Tags(answer.text).found:
        assert tag not in NEVER, tag
        assert not [name for name in attributes if name.startswith("on") or name == "style"], attributes
        for name in ("href", "src", "action", "hx-get"):
            assert OURS.match(attributes.get(name) or "/"), attributes
            assert not (attributes.get(name) or "").startswith("//")
        if tag == "script":
            assert attributes.get("src", "").startswith("/static/") or attributes["type"] == "application/json"
        if tag == "meta":
            assert "http-equiv" not in attributes


def test_hostile_titles_are_shown_as_they_are(client: TestClient) -> None:
    page = client.get("/item?id=i001").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "49" not in client.get("/item?id=i007").text.split("<h1>")[1].split("</h1>")[0]


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """What the pages say that nobody has put into Chinese."""
    said: set[str] = set()

    class Words(dict[str, str]):
        def get(self, english: str, default: str) -> str:  # type: ignore[override]
            if english not in self:
                said.add(english)
            return super().get(english, default)

    words = Words(language._words("zh"))
    monkeypatch.setattr(language, "_words", lambda name: words)
    yield said


def test_every_page_speaks_chinese(client: TestClient, unknown: set[str]) -> None:
    for page in PAGES:
        answer = client.get(page, headers={"Accept-Language": "zh-CN,zh;q=0.9"})
        assert '<html lang="zh-Hans">' in answer.text
    assert not unknown
    assert "概览" in client.get("/", headers={"Accept-Language": "zh"}).text


def test_a_language_in_the_address_is_kept(client: TestClient) -> None:
    assert "概览" in client.get("/?lang=zh").text
    assert "概览" in client.get("/runs").text
    assert "Overview" in client.get("/runs?lang=en").text
    client.cookies.clear()


def test_what_if_tells_what_moves(client: TestClient) -> None:
    train = [
        one["id"] for one in client.get("/api/user", params={"id": "u001"}).json()["history"] if one["split"] == "train"
    ]
    page = client.get("/user", params={"id": "u001", "remove": train[::2], "add": "i060"}).text
    assert page.count("− ") == len(train[::2]) and page.count("+ ") == 1
    assert re.search(r"↑\d|↓\d|<strong>new</strong>", page)
    assert all(client.get("/user?id=u001").text.count(f"remove={item}") == 1 for item in train)
    nothing = client.get("/user", params={"id": "u001", "remove": train}).text
    assert "no choice is left to go by" in nothing


def test_two_runs_stand_side_by_side(run: mw.Run, tmp_path: Path) -> None:
    with_other = mw.Run(
        {**run.config.model_dump(mode="json", exclude_unset=True), "gnn": {"model": "popularity"}},
        name="popular",
        workspace=str(tmp_path / "popular"),
        store=run.config.store_address,
        progress=False,
    )
    with_other.train()
    beside = Explorer(with_other.config.store_address, config=with_other.config)
    explorer = Explorer(run.config.store_address, config=run.config, beside=[beside])
    browser = TestClient(make_app(explorer, Access()), base_url="http://localhost")
    assert "/compare?user=u001" in browser.get("/user?id=u001").text
    page = browser.get("/compare?user=u001&with=popular").text
    lists = [one.recommend(["u001"], 10)["item_id"].to_list() for one in (run, with_other)]
    both = set(lists[0]) & set(lists[1])
    assert f"{len(both)} of 10 items are in both lists" in page
    assert page.count("only here") == 2 * (10 - len(both)) and ">popular</h2>" in page


def test_rows_are_downloaded_as_they_are_asked_for(client: TestClient) -> None:
    query = "MATCH (i:Item) WHERE i.id = $item RETURN i.id AS item, i.title AS title"
    for kind, beginning in (("csv", b'"item","title"'), ("json", b'{"columns"'), ("parquet", b"PAR1")):
        answer = client.get("/cypher/rows", params={"query": query, "p.item": "i001", "format": kind})
        assert answer.content.startswith(beginning)
        assert answer.headers["content-disposition"] == f'attachment; filename="rows.{kind}"'


def test_only_pages_of_the_run_are_shown(client: TestClient) -> None:
    assert "report.html" in client.get("/runs").text
    assert client.get("/runs/report.html").status_code == 200
    for name in ("config.yaml", "..%2fdemo.yaml", "metrics.json", "nothing.html", "%2e%2e"):
        assert client.get(f"/runs/{name}").status_code == 404


def test_the_api_is_described(client: TestClient) -> None:
    paths = openapi(client)["paths"]
    assert {
        "/api/recommend",
        "/api/similar",
        "/api/search",
        "/api/explain",
        "/api/item",
        "/api/user",
        "/api/cypher",
    } <= set(paths)


def test_what_comes_from_others_is_as_they_published_it() -> None:
    folder = Path(modalweave.serve.__file__).parent / "static" / "vendor"
    published = (folder / "LICENSES.txt").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^ {4}([0-9a-f]{64})  (\S+)$", published, re.MULTILINE))
    files = [path for path in folder.iterdir() if path.name != "LICENSES.txt"]
    assert {hashlib.sha256(path.read_bytes()).hexdigest(): path.name for path in files} == listed
