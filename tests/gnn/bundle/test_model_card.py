"""The card that a bundle carries: what it says, and that nothing a dataset is called can break it."""

from typing import Any

import pytest

from gnn.bundle.model_card import front_matter, model_card

FACTS: dict[str, Any] = {
    "model": "auto",
    "dataset": "shop",
    "users": 3,
    "items": 2,
    "seed": 0,
    "scorer": {"kind": "dot"},
    "split": "valid",
    "metrics": {"recall@20": {"mean": 0.25, "ci95": [0.2, 0.3]}, "mrr": {"mean": 0.5}, "seen": 0.125},
}


def test_facts_stand_in_a_table_and_what_is_not_known_is_left_out() -> None:
    card = model_card(FACTS)
    assert card.startswith("# Recommender bundle: shop\n")
    assert "| seed | 0 |" in card, "0 is a value"
    assert "| scorer | dot |" in card
    assert "dataset_fingerprint" not in card and "precision" not in card


@pytest.mark.parametrize(
    ("manifest", "title"), [({"model": "ease"}, "ease"), ({}, "recommender"), ({"dataset": "", "model": "x"}, "x")]
)
def test_without_a_name_it_is_called_by_what_there_is(manifest: dict[str, Any], title: str) -> None:
    assert model_card(manifest).splitlines()[0] == f"# Recommender bundle: {title}"


def test_metrics_are_sorted_with_their_interval_where_there_is_one() -> None:
    card = model_card(FACTS)
    assert "## Measured on held-out interactions (valid split)" in card
    assert [line for line in card.splitlines() if line.startswith(("| mrr", "| recall", "| seen"))] == [
        "| mrr | 0.5000 | - |",
        "| recall@20 | 0.2500 | 0.2000 to 0.3000 |",
        "| seen | 0.1250 | - |",
    ]


def test_metrics_may_lie_inside_a_whole_measurement() -> None:
    whole = model_card({**FACTS, "metrics": {"k": [20], "metrics": FACTS["metrics"]}})
    assert whole == model_card(FACTS)


@pytest.mark.parametrize("metrics", [None, {}, [], "none", {"metrics": {}}])
def test_without_metrics_there_is_no_such_heading(metrics: Any) -> None:
    assert "Measured" not in model_card({**FACTS, "metrics": metrics})


def test_a_sum_tells_its_parts_and_weights() -> None:
    inner = {"kind": "sum", "weights": [1.0, 0.25], "parts": [{"kind": "dot"}, {"kind": "item_item"}]}
    scorer = {"kind": "sum", "weights": [0.75, 0.25], "parts": [{"kind": "item_item"}, inner]}
    assert "| scorer | sum of 0.75 x item_item, 0.25 x sum of 1 x dot, 0.25 x item_item |" in model_card(
        {**FACTS, "scorer": scorer}
    )


@pytest.mark.parametrize("name", ["a | b", "a\nb", "a\n\n# Owned", "`rm`", "a\t\r\nb"])
def test_a_name_stays_in_its_cell(name: str) -> None:
    plain, odd = model_card(FACTS), model_card({**FACTS, "dataset": name, "metrics": {name: 0.5}})
    assert len(odd.splitlines()) == len(model_card({**FACTS, "metrics": {"x": 0.5}}).splitlines())
    assert [line for line in odd.splitlines() if line.startswith("#")][1:] == [
        line for line in plain.splitlines() if line.startswith("#")
    ][1:]
    for line in odd.splitlines():
        if line.startswith("| dataset"):
            assert line.replace("\\|", "").count("|") == 3
            assert "`" not in line


@pytest.mark.parametrize("name", ["shop", "a: b\n---\n# c", "'\"{}", "电影"])
def test_the_hub_reads_the_head_of_a_card(name: str) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard(front_matter({**FACTS, "dataset": name}) + model_card({**FACTS, "dataset": name}))
    assert card.data.library_name == "modalweave"
    assert {(r.metric_type, r.metric_value) for r in card.data.eval_results or ()} == {
        ("mrr", 0.5),
        ("recall@20", 0.25),
        ("seen", 0.125),
    }
    assert {r.dataset_name for r in card.data.eval_results or ()} == {name}
    assert card.text.lstrip().startswith("# Recommender bundle")
    assert "model-index" not in front_matter({})
