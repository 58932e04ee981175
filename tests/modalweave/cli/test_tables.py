"""Tables on a terminal: a name of a catalogue or a config is shown as it is, neither markup nor an escape sequence."""

from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from modalweave.cli import experiment_tables, explanation_tables, tables
from modalweave.results.beyond import BeyondAccuracy, Fairness, Gap, PopularityBias
from modalweave.results.build import BuildResult, BulkImport, Check, DoctorReport, Plan, PlanPart
from modalweave.results.classification import Classification
from modalweave.results.explanation import ExplainedPath, Explanation, HistoryShare, ScoreParts
from modalweave.results.jobs import ScoreResult
from modalweave.results.metric import Metric
from modalweave.results.metrics import EvaluateResult
from modalweave.results.study import (
    ListedVariant,
    SeededMetric,
    StudyResult,
    StudyVariant,
    Trial,
    TuneResult,
    VariantList,
)

EVIL = "\x1b[31mred [bold]x[/] \\[dim] :heart:"
SHOWN = EVIL.replace("\x1b", "\ufffd")
VALUE = Metric(0.25, 0.2, 0.3)

_MODEL = ScoreParts("b", "m", 1.0, True, (HistoryShare("i", EVIL, 0.5, 0.5, {EVIL: 0.5}),), 0.5, {EVIL: 0.5})
_PATH = ExplainedPath("media", (), 1.0, EVIL, "", {}, "", "image", 0.5)
_BUILD = BuildResult(
    nodes={EVIL: 1},
    relationships={},
    written=1,
    stale={EVIL: 2},
    bulk=BulkImport("folder", False, EVIL),
    quarantined=0,
    coverage={EVIL: 1.0},
    seconds={},
    refused=(),
    warnings=(EVIL,),
    details={},
)
_LISTS = BeyondAccuracy(
    20,
    {f"miscalibration_{EVIL}@20": VALUE},
    {EVIL: {}},
    {"all": {"all": PopularityBias(30, 0.2, 0.1, Metric(-0.5, -0.6, -0.4))}},
    {EVIL: Fairness({}, {EVIL: Gap(EVIL, EVIL, 0.1, (0.0, 0.2), 0.01)})},
)
_METRICS = EvaluateResult(
    *(EVIL, (20,), {EVIL: VALUE}, {}, {}, 0, "cpu", "g", "b", {EVIL: {EVIL: VALUE}}),
    headline=EVIL,
    beyond_accuracy=_LISTS,
    classification=Classification(2.0, 30, 3000, 30, 0.99, {"auc": VALUE}, ()),
)
_SCORES = ScoreResult(
    bundle="b", options={}, users=1, rows=1, parts={}, out=EVIL, seconds={}, written_back=1, store=EVIL
)
_STATS = {
    "degree": {EVIL: {"mean": 1.0, "median": 1.0, "max": 1, "isolated": 0.0}},
    "nodes": 1,
    "edges": 0,
    "components": 1,
    "largest_component": 1.0,
    "communities": None,
    "pagerank": [(EVIL, EVIL, 0.5)],
}
_STUDY = StudyResult(
    name=EVIL,
    split=EVIL,
    metric=EVIL,
    seeds=(0,),
    users=1,
    device="cpu",
    graph="g",
    command="",
    findings=(EVIL,),
    variants=(StudyVariant(EVIL, EVIL, {}, {EVIL: SeededMetric(0.25, 0.2, 0.3, None)}, 1.0, 1, 0),),
    effects=(),
    slices=(),
    slice_questions=(),
    knocked_out=(),
    carried={},
    gates={},
    agreement=(),
    markdown=EVIL,
    workspace=EVIL,
)
_TRIAL = Trial(0, 0.5, {EVIL: EVIL}, 1.0)
_PLAN = Plan(
    sizes={}, parts=(PlanPart(EVIL, 1, 1.0, EVIL),), memory_mb=1, available_mb=1, seconds=1.0, fits=True, verdict=EVIL
)
CASES: dict[str, tuple[Callable[[Any], None], Any]] = {
    "build": (tables.build, _BUILD),
    "metrics": (tables.metrics, _METRICS),
    "scores": (tables.scores, _SCORES),
    "pairs": (tables.pairs, {EVIL: EVIL}),
    "rows": (tables.rows, {"columns": [EVIL], "rows": [{EVIL: EVIL}, {EVIL: 0.5}]}),
    "stats": (tables.stats, _STATS),
    "doctor": (tables.doctor, DoctorReport(True, (Check(EVIL, "ok", EVIL, EVIL),))),
    "explanation": (explanation_tables.explanation, Explanation(EVIL, EVIL, (_PATH,), _MODEL, None, (), {})),
    "no path": (explanation_tables.explanation, Explanation(EVIL, EVIL, (), None, EVIL, (), {})),
    "variants": (experiment_tables.variants, VariantList((ListedVariant(EVIL, EVIL, {}),))),
    "study": (experiment_tables.study, _STUDY),
    "tune": (experiment_tables.tune, TuneResult(_TRIAL, (_TRIAL,), EVIL)),
    "plan": (experiment_tables.plan, _PLAN),
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
    tables.doctor(DoctorReport(False, (Check("torch", "failed", "[green]2.6"),)))
    shown = capsys.readouterr().out
    assert "\x1b[31mfailed" in shown
    assert "[green]2.6" in shown
    assert "\x1b[32m" not in shown


def test_items_have_their_titles_beside_them_hashes_are_short_and_a_cut_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = {"columns": ["item", "media", "user"], "rows": [{"item": "42", "media": "ab" * 32, "user": "42"}]}
    tables.rows(found, {"42": "Blue Lamp"}, cut=True)
    said = capsys.readouterr().out
    assert "42  Blue Lamp" in said and said.count("Blue Lamp") == 1
    assert "abababababab…" in said and "ab" * 7 not in said
    assert "1 rows, and there are more" in said
