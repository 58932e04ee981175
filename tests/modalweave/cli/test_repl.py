"""The console: what a pipe feeds it, and what it completes."""

import io
import os
import pty
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from graph import open_store
from modalweave.cli.repl import COMMANDS, Console
from tests.graph.tiny_graph import EDGE_COUNTS, NODE_COUNTS, write_tiny
from tests.modalweave.conftest import Outcome

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    address = f"ladybug:{tmp_path_factory.mktemp('console')}"
    with open_store(address) as store:
        write_tiny(store)
    return address


@pytest.fixture(scope="module")
def console(address: str) -> Iterator[Console]:
    with open_store(address, read_only=True) as store:
        yield Console(store, None, limit=100, timeout=10)


@pytest.fixture
def feed(address: str, modalweave: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Outcome]:
    def run(text: str) -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        return modalweave("explore", "--store", address)

    return run


def test_queries_end_at_a_semicolon_or_an_empty_line(feed: Callable[[str], Outcome]) -> None:
    outcome = feed("MATCH (i:Item)\nRETURN count(i) AS items;\nRETURN 7 AS seven\n\nRETURN 8 AS eight")
    assert (outcome.code, outcome.err) == (0, "")
    for text in ("items", "seven", "eight", "4"):
        assert text in outcome.out


def test_the_cookbook_and_parameters(feed: Callable[[str], Outcome]) -> None:
    outcome = feed(
        ":run alike-in-picture item=film_a\n:param item=film_b\n:param most:=1\n"
        "MATCH (i:Item) WHERE i.id = $item RETURN i.title AS title LIMIT $most;\n"
        ":params\n:clear\n:list\n:schema\n:help\n"
    )
    assert outcome.code == 0, outcome.err
    for text in ("film_b", "0.9", "Bees", "most: 1", "popular-items", "similar-images", "year", ":plot FILE"):
        assert text in outcome.out


def test_results_are_saved_and_drawn(feed: Callable[[str], Outcome], tmp_path: Path) -> None:
    query = "MATCH (u:User)-[r:INTERACTED]->(i:Item) RETURN u, r, i;"
    outcome = feed(f"{query}\n:save {tmp_path / 'rows.parquet'}\n:plot {tmp_path / 'plot.html'}\n:limit 1\n{query}\n")
    assert outcome.code == 0, outcome.err
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == 7
    assert (tmp_path / "plot.html").read_text().count("<circle") == 7
    assert "1 rows" in outcome.out


def test_a_mistake_is_one_line_and_the_next_line_is_read(feed: Callable[[str], Outcome], address: str) -> None:
    mistakes = [
        "MATCH (i:Item) DETACH DELETE i;",
        "COPY Item FROM '/etc/passwd';",
        "USE system SHOW USERS;",
        "RETURN nonsense;",
        ":fly",
        ":run popular-item",
        ":run 'unfinished",
        ":limit none",
        ":save rows.csv",
        ":param x",
    ]
    outcome = feed("\n".join([*mistakes, "RETURN 5 AS five;"]))
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == len(mistakes)
    assert "five" in outcome.out
    with open_store(address, read_only=True) as store:
        assert (store.counts().nodes, store.counts().relationships) == (NODE_COUNTS, EDGE_COUNTS)


def test_quit_leaves(feed: Callable[[str], Outcome]) -> None:
    assert "later" not in feed(":quit\nRETURN 1 AS later;\n").out


@pytest.mark.parametrize(
    ("before", "word", "wanted"),
    [
        ("MATCH (u:", "Us", ["User"]),
        ("MATCH (u:User)-[r:", "HAS_I", ["HAS_IMAGE"]),
        ("MATCH (i:Item) RETURN i.", "ye", ["year"]),
        ("", "mat", ["MATCH"]),
        (":", "sa", ["save"]),
        (":", "", list(COMMANDS)),
        (":run ", "similar-i", ["similar-images"]),
        (":run alike-in-picture ", "it", ["item="]),
    ],
)
def test_completion(console: Console, before: str, word: str, wanted: list[str]) -> None:
    assert console.complete(before, word) == wanted


def test_parameters_complete(console: Console) -> None:
    console.parameters["movie"] = "x"
    assert "$movie" in console.complete("MATCH (i:Item) WHERE i.id = ", "$mo")


def test_titles_cannot_steer_the_terminal(tmp_path: Path, modalweave: Run) -> None:
    import pyarrow as pa

    with open_store(f"ladybug:{tmp_path}") as store:
        write_tiny(store)
        store.write_nodes("Item", pa.table({"id": ["evil"], "title": ["\x1b]0;owned\x07[red]x[/red]"]}))
    query = "MATCH (i:Item {id: 'evil'}) RETURN i.title AS title"
    shown = modalweave("cypher", query, "--store", f"ladybug:{tmp_path}").out
    assert "\x1b]" not in shown
    assert "\x07" not in shown
    assert "[red]x[/red]" in shown


def test_on_a_terminal_it_prompts_completes_and_keeps_a_history(address: str, config: Path, modalweave: Run) -> None:
    """A real pseudo-terminal and a real process."""
    assert modalweave("build", config).code == 0
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "dumb"
        os.execv(
            sys.executable, [sys.executable, "-c", "from modalweave.cli import main; main()", "explore", str(config)]
        )
    seen = b""
    for sent in (b"MATCH (i:It\t) RETURN count(i) AS many;\n", b":quit\n"):
        while not seen.rstrip().endswith(b"modalweave>"):
            seen += os.read(terminal, 4096)
        os.write(terminal, sent)
        seen = b"" if sent != b":quit\n" else seen
        if sent != b":quit\n":
            seen = os.read(terminal, 4096)
    rest = b""
    try:
        while part := os.read(terminal, 4096):
            rest += part
    except OSError:
        pass
    assert os.waitpid(child, 0)[1] == 0
    assert b"many" in seen and b"40" in seen
    history = config.parent / "run" / ".explore_history"
    assert "MATCH (i:Item) RETURN count(i) AS many;" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0
