"""Tables on a terminal: a name of a catalogue or a config is shown as it is, neither markup nor an escape sequence."""

from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from modalweave.cli import experiment_tables, explanation_tables, tables

EVIL = "\x1b[31mred [bold]x[/] \\[dim] :heart:"
SHOWN = EVIL.replace("\x1b", "\ufffd")
VALUE = {"mean": 0.25, "ci95": [0.2, 0.3]}

_MODEL = {
    "score": 1.0,
    "exact": True,
    "others": 0.5,
    "rest": {EVIL: 0.5},
    "history": [{"title": EVIL, "contribution": 0.5, "share": 0.5, "by": {EVIL: 0.5}}],
}
_PATH = {"kind": "media", "modality": "image", "score": 1.0, "share": 0.5, "sentence": EVIL}
_BUILD: dict[str, Any] = {
    "nodes": {EVIL: 1},
    "relationships": {},
    "coverage": {EVIL: 1.0},
    "written": 1,
    "quarantined": 0,
    "warnings": [EVIL],
    "stale": {EVIL: 2},
    "import": {"next": EVIL},
}
_STATS = {
    "degree": {EVIL: {"mean": 1.0, "median": 1.0, "max": 1, "isolated": 0.0}},
    "nodes": 1,
    "edges": 0,
    "components": 1,
    "largest_component": 1.0,
    "communities": None,
    "pagerank": [(EVIL, EVIL, 0.5)],
}
_VARIANT = {"name": EVIL, "label": EVIL, "gnn": {}, "metrics": {EVIL: VALUE}, "seconds": 1.0, "memory_mb": 1}
_STUDY = {"findings": [EVIL], "variants": [_VARIANT], "split": EVIL, "workspace": EVIL, "markdown": EVIL}
_TRIAL = {"number": 0, "quality": 0.5, "seconds": 1.0, "settings": {EVIL: EVIL}}
_PART = {"name": EVIL, "memory_mb": 1, "seconds": 1.0, "setting": EVIL}
CASES: dict[str, tuple[Callable[[Any], None], Any]] = {
    "build": (tables.build, _BUILD),
    "metrics": (tables.metrics, {"split": EVIL, "metrics": {EVIL: VALUE}, "baselines": {EVIL: {EVIL: VALUE}}}),
    "scores": (tables.scores, {"rows": 1, "parts": {}, "out": EVIL, "written_back": 1, "store": EVIL}),
    "pairs": (tables.pairs, {EVIL: EVIL}),
    "rows": (tables.rows, {"columns": [EVIL], "rows": [{EVIL: EVIL}, {EVIL: 0.5}]}),
    "stats": (tables.stats, _STATS),
    "doctor": (tables.doctor, {"checks": [{"name": EVIL, "state": "ok", "found": EVIL, "fix": EVIL}]}),
    "explanation": (
        explanation_tables.explanation,
        {"user": EVIL, "item": EVIL, "model": _MODEL, "paths": [_PATH], "cypher": []},
    ),
    "no path": (
        explanation_tables.explanation,
        {"user": EVIL, "item": EVIL, "model": None, "note": EVIL, "paths": [], "cypher": []},
    ),
    "variants": (experiment_tables.variants, {"variants": [_VARIANT]}),
    "study": (experiment_tables.study, _STUDY),
    "tune": (experiment_tables.tune, {"trials": [_TRIAL], "config": EVIL}),
    "plan": (experiment_tables.plan, {"parts": [_PART], "verdict": EVIL}),
}


@pytest.mark.parametrize("name", list(CASES))
def test_names_are_shown_as_they_are(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    render, result = CASES[name]
    for module in (tables, experiment_tables, explanation_tables):
        monkeypatch.setattr(module.out, "_width", 2000)
    render(result)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.count(SHOWN) >= 1
    # each time it is shown, it is shown whole
    assert shown.count("red ") == shown.count(SHOWN)


def test_colours_are_the_programs_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(tables, "out", Console(width=200, force_terminal=True, color_system="standard"))
    tables.doctor({"checks": [{"name": "torch", "state": "failed", "found": "[green]2.6", "fix": ""}]})
    shown = capsys.readouterr().out
    assert "\x1b[31mfailed" in shown
    assert "[green]2.6" in shown
    assert "\x1b[32m" not in shown
