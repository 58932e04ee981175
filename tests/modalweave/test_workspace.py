"""Every path of a run is known in one place, and what a run leaves is what the place says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modalweave.workspace import Workspace

ROOT = Path(__file__).parents[2]


def paths(workspace: Workspace) -> dict[str, Path]:
    more = {name: getattr(workspace, name) for name, kind in vars(Workspace).items() if isinstance(kind, property)}
    return {name: path for name, path in {**vars(workspace), **more}.items() if name != "root"}


def test_every_path_lies_inside_and_is_its_own(tmp_path: Path) -> None:
    found = paths(Workspace(tmp_path / "run"))
    assert all(path.is_relative_to(tmp_path / "run") for path in found.values())
    assert len(set(found.values())) == len(found)
    assert not (tmp_path / "run").exists()


def test_a_text_is_a_path() -> None:
    assert Workspace("runs/shop").bundle == Path("runs/shop/bundle")
    assert repr(Workspace("runs/shop")) == "Workspace('runs/shop')"


def test_products_are_listed_by_name_without_hidden_files(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "run")
    assert workspace.products() == []
    workspace.root.mkdir()
    for path in (workspace.report, workspace.history, workspace.metrics):
        path.touch()
    assert workspace.products() == [workspace.metrics, workspace.report]


def test_a_run_leaves_nothing_that_the_workspace_does_not_know(config: Path, modalweave: Callable[..., Any]) -> None:
    assert modalweave("run", config).code == 0
    workspace = Workspace(config.parent / "run")
    known = {path.relative_to(workspace.root).parts[0] for path in paths(workspace).values()}
    assert {path.name for path in workspace.root.iterdir()} <= known


def test_no_other_file_of_the_command_line_room_joins_a_workspace_path() -> None:
    joined = re.compile(r"workspace(\.root)? / ")
    places = [path for path in (ROOT / "modalweave").rglob("*.py") if joined.search(path.read_text(encoding="utf-8"))]
    assert not places
