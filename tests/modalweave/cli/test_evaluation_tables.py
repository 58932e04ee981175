"""What `modalweave evaluate` prints: the headline first, a line a metric, and what stands beside accuracy in words."""

from typing import Any

import pytest

from modalweave.cli import evaluation_tables
from modalweave.results.beyond import BeyondAccuracy, Fairness, Gap, PopularityBias
from modalweave.results.classification import Classification
from modalweave.results.metric import Metric
from modalweave.results.metrics import Comparison, EvaluateResult

ROW = {"baseline": "ease", "metric": "mrr", "difference": 0.05, "ci95": [0.01, 0.09], "relative": 0.25}
ROW |= {"relative_ci95": [0.05, 0.45], "p_bootstrap": 0.01, "p_wilcoxon": 0.2}


def result(**changed: Any) -> EvaluateResult:
    bias = {"all": {"all": PopularityBias(30, 0.2, 0.1, Metric(-0.5, -0.6, -0.4))}}
    gaps = {
        "recall@20": Gap("6-10", "51+", 0.1, (0.05, 0.15), 0.01),
        "ndcg@20": Gap("1-5", "51+", 0.1, (-0.1, 0.3), 0.2),
    }
    lists = {"coverage@20": Metric(0.5, 0.45, 0.55), "novelty@20": Metric(10.25, 10.125, 10.375)}
    facts: dict[str, Any] = {
        "headline": "Not told apart from ease.",
        "comparisons": (Comparison.of(ROW),),
        "beyond_accuracy": BeyondAccuracy(
            20, lists, {"ease": {"coverage@20": Metric(0.25)}}, bias, {"activity": Fairness({}, gaps)}
        ),
        "classification": Classification(2.0, 30, 3000, 30, 0.99, {"average_precision": Metric(0.2, 0.1, 0.3)}, ()),
    } | changed
    metrics = {"mrr": Metric(0.25, 0.2, 0.3)}
    return EvaluateResult(
        "test", (20,), metrics, {}, {}, 0, "cpu", "g", "b", {"ease": {"mrr": Metric(0.2, 0.1, 0.3)}}, **facts
    )


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setattr(evaluation_tables.out, "_width", 200)

    def show(found: EvaluateResult) -> list[str]:
        evaluation_tables.metrics(found)
        return [" ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()]

    return show


def test_every_number_is_in_its_place(shown: Any) -> None:
    lines = shown(result())
    assert lines[0] == "Not told apart from ease."
    assert "mrr 0.2500 [.200, .300] 0.2000 +25%?" in lines
    assert "coverage 0.5000 [.450, .550] 0.2500" in lines
    assert "novelty (bits) 10.2500 [10.125, 10.375]" in lines
    assert "Items in lists are 50 % [40, 60] less popular than in histories" in lines
    unlike = [line for line in lines if line.startswith("Served unlike")]
    assert unlike == [
        "Served unlike by activity: recall@20 is 0.1000 higher for 6-10 interactions than for 51+ interactions"
    ]
    assert lines[-1] == (
        "As classification: average precision 0.2000 [0.1000, 0.3000] (30 links of 3,000 pairs, accuracy of predicting "
        "none 0.9900)"
    )


def test_without_baselines_there_is_no_headline(shown: Any) -> None:
    lines = shown(result(headline="", comparisons=(), beyond_accuracy=None, classification=None))
    assert lines[0].startswith("Metrics on test")
    assert "mrr 0.2500 [.200, .300] 0.2000" in lines
