"""A run over real media, in which every text that a catalogue can hold is an attack on a page."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from starlette.testclient import TestClient

import modalweave as mw
from modalweave.sample.catalogue import write_catalogue
from modalweave.serve.app import make_app
from modalweave.serve.explorer import Explorer
from modalweave.serve.guard import Access

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "{% include '/etc/passwd' %}",
    "${7*7}",
    "javascript:alert(1)",
    "<a href=javascript:alert(1)>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<img src=x onerror=&#97;lert(1)>",
    "<style>body{display:none}</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<form action=//evil.example><input name=token>",
    "<div hx-get=//evil.example hx-trigger=load>",
    "<details open ontoggle=alert(1)>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<!--<script>",
    "]]><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u202egnp.exe<b>",
    "\u2028<script>alert(1)</script>",
    "a\nb\r\nSet-Cookie: x=1",
    "' OR 1=1 RETURN u //",
    '") MATCH (n) DETACH DELETE n //',
    "\\u0027 RETURN 1",
    "％3Cscript％3E",
    "<x onclick=alert(1)>" * 20,
    "灯<b>静</b>",
]
"""Titles, names, texts and attributes that must never be more than text."""


def hostile_catalogue(folder: Path) -> Path:
    """The sample catalogue, its words replaced."""
    write_catalogue(folder, items=60, users=60)
    items = pl.read_parquet(folder / "items.parquet")
    titles = [HOSTILE[place] if place < len(HOSTILE) else title for place, title in enumerate(items["title"])]
    items.with_columns(pl.Series("title", titles), pl.Series("note", titles[::-1])).write_parquet(
        folder / "items.parquet"
    )
    triples = pl.read_parquet(folder / "triples.parquet")
    names = [HOSTILE[place % len(HOSTILE)] for place in range(len(triples))]
    first = triples.unique("tail_id", keep="first", maintain_order=True)["tail_id"].to_list()
    named = {tail: names[place] for place, tail in enumerate(first)}
    triples.with_columns(pl.col("tail_id").replace_strict(named).alias("tail_name")).write_parquet(
        folder / "triples.parquet"
    )
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> mw.Run:
    """Built and trained once for all pages."""
    folder = tmp_path_factory.mktemp("explorer")
    source = {"format": "folder", "path": str(hostile_catalogue(folder / "catalogue"))}
    found = mw.Run(
        {"name": "pages", "source": source, "workspace": str(folder / "run"), "gnn": {"model": "ease"}}, progress=False
    )
    found.build()
    found.train()
    found.evaluate()
    return found


@pytest.fixture(scope="session")
def explorer(run: mw.Run) -> Iterator[Explorer]:
    explorer = Explorer(run.config.store_address, config=run.config)
    yield explorer
    explorer.close()


@pytest.fixture(scope="session")
def client(explorer: Explorer) -> TestClient:
    """Asks as a browser on this machine does."""
    return TestClient(make_app(explorer, Access()), base_url="http://127.0.0.1:8420")


def seal_of(client: TestClient, page: str = "/search") -> str:
    """What a form of a page carries."""
    text = client.get(page).text
    return text.partition('name="seal" value="')[2].partition('"')[0]


def openapi(client: TestClient) -> dict[str, object]:
    return json.loads(client.get("/api/openapi.json").text)
