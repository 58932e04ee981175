"""What people read of a result: the numbers that matter, and nothing where there is nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from modalweave.cli import experiment_tables, explanation_tables, tables
from modalweave.results.build import BuildResult, BulkImport, CacheReport, Plan, PlanPart, Refused
from modalweave.results.explanation import Explanation, HistoryShare, ScoreParts
from modalweave.results.study import Trial, TuneResult

Shown = Callable[[Callable[[Any], None], Any], list[str]]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shown:
    """The lines that a result is printed as, on a wide terminal."""
    for module in (tables, experiment_tables, explanation_tables):
        monkeypatch.setattr(module.out, "_width", 300)

    def lines(render: Callable[[Any], None], result: Any) -> list[str]:
        render(result)
        return [" ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()]

    return lines


BUILT = BuildResult(
    nodes={"User": 1200, "Audio": 0},
    relationships={"INTERACTED": 56_789},
    written=3,
    quarantined=1,
    coverage={},
    seconds={},
    refused=(),
    warnings=(),
    details={},
)


def test_a_build_counts_what_is_there(shown: Shown) -> None:
    lines = shown(tables.build, BUILT)
    assert "User 1,200" in lines and "INTERACTED 56,789" in lines
    assert not [line for line in lines if "Audio" in line]
    assert "Items with media: none" in lines
    assert "3 written, 1 quarantined (quarantine.parquet says why)" in lines


def test_a_build_says_what_went_what_stayed_and_what_is_left_to_do(shown: Shown) -> None:
    given = replace(
        BUILT,
        coverage={"image": 0.987, "text": 0.5},
        replaced=4,
        removed=5,
        stale={"User": 1000, "Item": 2},
        bulk=BulkImport("folder", False, "start the server"),
        warnings=("few pictures",),
    )
    lines = shown(tables.build, given)
    for line in (
        "Items with media: image 99%, text 50%",
        "Next: start the server",
        "4 of an earlier delivery went: this one gives their items others",
        "5 removed that the source no longer has",
        "note the store holds 1,000 User, 2 Item that the source lacks; `--prune` removes them",
        "note few pictures",
    ):
        assert line in lines


def test_refused_rows_are_listed_up_to_twenty_kinds(shown: Shown) -> None:
    rows = tuple(
        Refused(file="interactions.csv", reason=f"reason {n}", count=n + 1, rows=(2,), uris=()) for n in range(30)
    )
    found = [line for line in shown(tables.build, replace(BUILT, refused=rows)) if line.startswith("left out")]
    assert len(found) == 20
    assert "reason 0" in found[0] and "interactions.csv" in found[0]


def test_rows_show_numbers_short_structures_as_json_and_their_count(shown: Shown) -> None:
    rows = [{"a": 0.123456789, "b": {"x": [1, "é"]}}, {"a": None, "b": "y" * 100}]
    lines = shown(tables.rows, {"columns": ["a", "b"], "rows": rows})
    assert '0.1235 {"x": [1, "é"]}' in lines
    assert f"None {'y' * 59}…" in lines
    assert lines[-1] == "2 rows"


def test_no_rows_are_told(shown: Shown) -> None:
    assert shown(tables.rows, {"columns": ["a"], "rows": []})[-1] == "0 rows"


def test_the_cache_is_told_in_megabytes(shown: Shown) -> None:
    report = CacheReport("runs/x/embeddings", 1_500_000, 2048, ({"encoder": "minilm", "bytes": 1_500_000},))
    lines = shown(tables.cache, report)
    assert "minilm 1500000" in lines
    assert lines[-1] == "1.5 MB in runs/x/embeddings; 2,048 bytes removed"
    assert shown(tables.cache, CacheReport("x", 0, 0, ()))[-1] == "0.0 MB in x; 0 bytes removed"


STATS: dict[str, Any] = {
    "degree": {"Item": {"mean": 2.5, "median": 2.0, "max": 9.0, "isolated": 0.125}},
    "nodes": 1400,
    "edges": 3500,
    "components": 2,
    "largest_component": 0.75,
    "communities": 7,
    "modularity": 0.41234,
    "pagerank": [("Item", "lamp", 0.03456789)],
}


def test_the_shape_of_a_graph_in_words(shown: Shown) -> None:
    lines = shown(tables.stats, STATS)
    assert "Item 2.50 2 9 12.5%" in lines
    assert "1,400 nodes, 3,500 relationships" in lines
    assert "2 components, the largest with 75.0% of the nodes" in lines
    assert "7 communities, modularity 0.412" in lines
    assert "Item lamp 0.03457" in lines
    large = shown(tables.stats, STATS | {"communities": None})
    assert "Communities are not computed for a graph of this size; narrow it with --around or --label" in large


SCORE = ScoreParts(
    bundle="b",
    model="auto",
    score=2.0,
    exact=True,
    history=(HistoryShare("i1", "Lamp", 1.0, 0.5, {"interactions": 0.75, "image": 0.25}),),
    others=0.6,
    rest={"user": 0.3, "popularity": 0.1},
)


def test_a_score_is_taken_apart_to_its_last_share(shown: Shown) -> None:
    lines = shown(explanation_tables.explanation, Explanation("u", "i", (), SCORE, None, (), {}))
    assert "No path of the graph leads from what u liked to i." in lines
    assert "The score 2, taken apart exactly" in lines
    for row in (
        "Lamp 1 50.0% interactions 0.75, image 0.25",
        "other items of the history 0.6 30.0%",
        "the user beside the history 0.3 15.0%",
        "what everybody gets 0.1 5.0%",
    ):
        assert row in lines


def test_a_score_below_nothing_has_no_shares(shown: Shown) -> None:
    below = replace(SCORE, score=-1.0, exact=False, others=0.0, history=(HistoryShare("i", "Lamp", -1.3, None, {}),))
    lines = shown(explanation_tables.explanation, Explanation("u", "i", (), below, None, (), {}))
    assert "The score -1, taken apart in part by estimate" in lines
    assert not [line for line in lines if "%" in line or "other items" in line]


def test_without_a_model_the_reason_is_told(shown: Shown) -> None:
    lines = shown(explanation_tables.explanation, Explanation("u", "i", (), None, "no trained model", (), {}))
    assert lines[-1] == "note no trained model"


def test_the_best_ten_trials_are_shown_best_first(shown: Shown) -> None:
    trials = tuple(Trial(n, n / 100, {"gnn.layers": n} if n else {}, 1.0) for n in range(15))
    lines = shown(experiment_tables.tune, TuneResult(trials[-1], trials, "runs/x/tuned.yaml"))
    numbers = [int(line.split()[0]) for line in lines if line[:1].isdigit()]
    assert numbers == list(range(14, 4, -1))
    assert "14 0.1400 1.0 gnn.layers=14" in lines
    assert "Quality is the mean of recall@20 and ndcg@20 on validation; 15 trials." in lines
    own = shown(experiment_tables.tune, TuneResult(trials[0], trials[:1], "x.yaml"))
    assert "0 0.0000 1.0 the config's own" in own


def test_a_plan_names_the_setting_of_each_part(shown: Shown) -> None:
    parts = (PlanPart("graph", 1200, 0.4, "source"), PlanPart("ease", 34, 1234.5, "gnn.ease.dense_limit"))
    plan = Plan(sizes={}, parts=parts, memory_mb=1, available_mb=1, seconds=1.0, fits=True, verdict="It fits.")
    lines = shown(experiment_tables.plan, plan)
    assert "graph 1,200 0 source" in lines
    assert "ease 34 1,234 gnn.ease.dense_limit" in lines
    assert lines[-1] == "It fits."
