"""The rooms: imports only go down the floors, and a store is asked through its protocol."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = {
    "common": 0,
    "graph": 1,
    "encoders": 1,
    "evaluation": 1,
    "etl": 2,
    "gnn": 2,
    "scoring": 3,
    "modalweave": 4,
}
STRANGERS = {
    ("gnn", "encoders"),
    ("gnn", "etl"),
    ("etl", "gnn"),
    ("graph", "encoders"),
    ("graph", "evaluation"),
    ("encoders", "graph"),
    ("encoders", "evaluation"),
    ("evaluation", "graph"),
    ("evaluation", "encoders"),
    ("scoring", "encoders"),
    ("scoring", "etl"),
}
"""Rooms that must not know one another though the floors would let them."""


def sources() -> Iterator[Path]:
    for room in FLOORS:
        yield from sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


def test_imports_only_go_down() -> None:
    wrong = []
    for path in sources():
        room = path.relative_to(ROOT).parts[0]
        for line, name in imported(path):
            to = name.partition(".")[0]
            if to in FLOORS and to != room and (FLOORS[to] > FLOORS[room] or (room, to) in STRANGERS):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
            if to in ("tests", "benchmarks"):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_nothing_outside_a_store_asks_which_store_it_is() -> None:
    asking = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "isinstance"
        and ast.unparse(node.args[1]).endswith(("Neo4jStore", "LadybugStore"))
    ]
    assert asking == []
