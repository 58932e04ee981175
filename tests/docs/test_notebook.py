"""The notebook runs from the first cell to the last, as Jupyter runs it, and what it shows stays small."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "first_steps.ipynb"


def test_every_cell_runs_and_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    shown = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    kinds = [{kind for output in outputs for kind in output.get("data", {})} for outputs in shown]
    flat = [output for outputs in shown for output in outputs]
    assert len(flat) == len(shown)
    assert {output["output_type"] for output in flat} == {"execute_result"}, "nothing is printed beside results"
    assert sum("text/html" in kind for kind in kinds) >= 5, "tables and the explanation are shown as such"
    assert any("Why " in str(output["data"].get("text/html")) for output in flat)


def test_it_is_committed_with_small_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and all(cell["outputs"] for cell in code)
    assert NOTEBOOK.stat().st_size < 40_000
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert "/tmp" not in text and "/home" not in text and "Traceback" not in text
