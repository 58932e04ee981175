"""Results: `--json` is their `to_json()`, keys in the order they always had, and a `repr` never floods."""

import dataclasses
import importlib
import json
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modalweave.results
from graph.views.paths import PathNode
from modalweave.results.build import BuildResult, BulkImport, Check, DoctorReport, Plan, PlanPart
from modalweave.results.explanation import ExplainedPath, Explanation
from modalweave.results.metric import Metric, metrics_of
from modalweave.results.metrics import Comparison, EvaluateResult, Slice
from modalweave.results.record import Record

KEYS = {
    "build": "nodes relationships written replaced removed stale quarantined coverage seconds refused warnings details",
    "train": "split k metrics slices seconds seed device new_items peak_memory_mb approximations graph chosen bundle",
    "evaluate": "split k metrics slices seconds seed device new_items graph bundle baselines comparisons headline "
    "beyond_accuracy classification",
    "score": "bundle options users rows parts out seconds",
    "export": "bundle source precision bytes agreement",
    "cache": "folder bytes removed_bytes encoders",
    "explain": "user item paths model note cypher seconds plot nodes edges left_out",
    "plan": "from sizes parts memory_mb available_mb seconds fits verdict",
    "doctor": "ok checks",
    "tune": "best trials config",
    "list": "variants",
    "study": "name split metric seeds users device graph command findings variants effects slices slice_questions "
    "knocked_out carried gates agreement workspace",
    "run": "build evaluate refit score workspace",
}
INNER = {
    "train": ("metrics", "recall@5", "mean ci95"),
    "evaluate": ("slices", "user_activity", "1-5"),
    "score": ("parts", "part-00000.parquet", "rows sha256"),
    "explain": ("paths", 0, "kind nodes score sentence cypher parameters show modality share"),
    "plan": ("parts", 0, "name memory_mb seconds setting"),
    "doctor": ("checks", 0, "name state found fix"),
    "tune": ("trials", 0, "number quality settings seconds"),
    "list": ("variants", 0, "name label gnn"),
    "study": ("variants", 0, "name label gnn metrics seconds memory_mb device_mb"),
}


@pytest.fixture
def printed(config: Path, modalweave: Callable[..., Any]) -> dict[str, Any]:
    """What each command prints with `--json`."""
    run, quick = config.parent / "run", ("--set", "study.resamples=20", "--set", "gnn.model=ease")
    calls: dict[str, tuple[object, ...]] = {
        "build": ("build", config),
        "run": ("run", config),
        "train": ("train", config),
        "evaluate": ("evaluate", config),
        "score": ("score", run / "bundle", "--out", run / "more"),
        "export": ("export", run / "bundle", "--out", run / "half", "--precision", "float16"),
        "cache": ("cache", config),
        "explain": ("explain", config, "--user", "u01", "--item", "i05", "--plot", run / "why.html"),
        "plan": ("doctor", config, "--plan"),
        "doctor": ("doctor", config),
        "tune": ("tune", config, "--trials", 1),
        "list": ("study", config, "--list", *quick),
        "study": ("study", config, "--seeds", "0", "--variants", "popularity,ease", *quick),
    }
    return {name: modalweave(*arguments, "--json").json() for name, arguments in calls.items()}


def test_every_command_prints_the_keys_it_always_had(printed: dict[str, Any]) -> None:
    assert {name: " ".join(found) for name, found in printed.items()} == KEYS
    for command, (outer, inner, keys) in INNER.items():
        assert " ".join(printed[command][outer][inner]) == keys, command


def test_what_lies_in_the_workspace_is_what_was_printed(printed: dict[str, Any], config: Path) -> None:
    left = json.loads((config.parent / "run" / "study.json").read_text())
    assert left == {key: value for key, value in printed["study"].items() if key != "workspace"}
    assert printed["run"]["evaluate"]["metrics"] == printed["evaluate"]["metrics"]


def evaluated(depths: tuple[int, ...] = (10, 20)) -> EvaluateResult:
    names = [f"{name}@{k}" for name in ("recall", "ndcg") for k in depths] + ["mrr"]
    metrics = {name: Metric(0.5, 0.4, 0.6) for name in names}
    slices = {"user_activity": {"1-5": Slice(3, 4, metrics)}}
    return EvaluateResult("test", depths, metrics, slices, {"evaluate": 1.0}, 0, "cpu", "g", "b", {"popularity": {}})


def test_a_metric_is_a_mean_and_an_interval() -> None:
    (metric,) = metrics_of({"recall@20": {"mean": 0.25, "ci95": [0.2, 0.3]}}).values()
    assert (metric.mean, metric.low, metric.high) == (0.25, 0.2, 0.3)
    assert metric.to_json() == {"mean": 0.25, "ci95": [0.2, 0.3]}
    assert repr(metric) == "0.2500 [0.2000, 0.3000]"


def test_of_too_few_users_a_metric_is_the_mean_alone() -> None:
    (metric,) = metrics_of({"recall@20": {"mean": 0.25}}).values()
    assert (metric.low, metric.high, repr(metric)) == (None, None, "0.2500")
    assert metric.to_json() == {"mean": 0.25}


def test_a_comparison_says_its_lead_and_whether_it_may_be_chance() -> None:
    row = {"baseline": "b", "metric": "m", "difference": 0.1, "ci95": [0.0, 0.2], "relative": 0.5}
    row |= {"relative_ci95": [0.0, 1.0], "p_bootstrap": 0.01, "p_wilcoxon": 0.01}
    assert Comparison.of(row).lead == "+50%"
    assert Comparison.of(row | {"p_wilcoxon": 0.5, "relative": -0.004}).lead == "-0.4%?"
    nothing = Comparison.of(row | {"relative": None, "relative_ci95": None})
    assert nothing.lead == "" and nothing.to_json()["relative_ci95"] is None


def test_a_measurement_shows_its_deepest_metrics_only() -> None:
    lines = repr(evaluated()).splitlines()
    assert lines[0] == "EvaluateResult on test, mean [95 % interval]"
    assert [line.split()[0] for line in lines[1:]] == ["recall@20", "ndcg@20", "mrr"]
    assert evaluated().to_json()["slices"]["user_activity"]["1-5"]["positives"] == 4


def test_a_build_is_one_line_whatever_it_holds() -> None:
    counts = {"User": 1_000_000, "Item": 40, "Text": 0}
    result = BuildResult(
        nodes=counts,
        relationships={"INTERACTED": 7},
        written=47,
        bulk=BulkImport("import", False, "start the server"),
        quarantined=2,
        coverage={},
        seconds={},
        refused=(),
        warnings=("w",) * 500,
        details={"long": "x" * 10_000},
    )
    assert repr(result) == "BuildResult(User 1,000,000, Item 40; 7 relationships; 47 written, 2 quarantined)"
    assert list(result.to_json())[:4] == ["nodes", "relationships", "written", "import"]


def test_what_was_not_asked_for_is_no_key() -> None:
    plan = Plan(
        sizes={"users": 1},
        parts=(PlanPart("graph", 1, 0.5, "source"),),
        memory_mb=1,
        available_mb=None,
        seconds=0.5,
        fits=True,
        verdict="It fits.",
    )
    assert "from" not in plan.to_json()
    assert plan.to_json()["available_mb"] is None
    assert next(iter(dataclasses.replace(plan, source="source x").to_json())) == "from"


def test_a_doctor_names_the_gaps_only() -> None:
    checks = (Check("python", "ok", "3.11"), Check("torch", "failed", "not installed", "pip install torch"))
    assert repr(DoctorReport(False, checks)) == "DoctorReport(torch: pip install torch)"


def explanation(sentence: str = "You liked a lamp") -> Explanation:
    nodes = (PathNode("User", "u7", "u7"), PathNode("Item", "1", "Lamp"))
    path = ExplainedPath("entity", nodes, 0.5, sentence, "MATCH", {"user": "u7"}, "MATCH", None, 0.25)
    return Explanation("u7", "<b>42</b>", (path,), None, "no model", (), {"graph": 0.1})


def test_an_explanation_is_read_as_sentences_and_shown_as_a_table() -> None:
    found = explanation("You liked <script>alert(1)</script>")
    assert found.sentences == ("You liked <script>alert(1)</script>",)
    page = found._repr_html_()
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "<b>42</b>" not in page
    assert "25.0%" in page
    assert found.to_json()["paths"][0]["nodes"][1] == {"label": "Item", "id": "1", "title": "Lamp"}
    assert "drawing" not in found.to_json()


def test_every_result_is_frozen_and_documented() -> None:
    for module in pkgutil.iter_modules(modalweave.results.__path__):
        importlib.import_module(f"modalweave.results.{module.name}")
    found = list(Record.__subclasses__())
    for kind in found:
        found += kind.__subclasses__()
    assert len(found) > 25
    for kind in found:
        assert kind.__dataclass_params__.frozen, kind
        assert (kind.__doc__ or "").strip() and not kind.__doc__.startswith(f"{kind.__name__}("), kind
