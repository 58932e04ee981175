"""One sentence on many comparisons: the worst as well as the best."""

from typing import Any

import pytest

from evaluation.headline import headline, lead, percent, verdict


def row(baseline: str, metric: str, relative: float | None, kind: str, width: float = 0.05) -> dict[str, Any]:
    ends = None if relative is None else [relative - width, relative + width]
    p = 0.3 if kind == "unclear" else 0.001
    difference = 0.02 if relative is None else relative / 5
    found = {"baseline": baseline, "metric": metric, "difference": difference, "ci95": [0.01, 0.03]}
    return found | {"relative": relative, "relative_ci95": ends, "p_bootstrap": 0.001, "p_wilcoxon": p}


def test_the_worst_stands_beside_the_best() -> None:
    rows = [
        row("popularity", "recall@20", 0.7, "better"),
        row("popularity", "precision@10", -0.02, "unclear"),
        row("item_knn", "recall@20", 0.08, "better"),
        row("item_knn", "precision@10", 0.07, "better"),
    ]
    assert headline(rows, "recall@20") == (
        "Ahead of item_knn, the strongest of 2 baselines in recall@20, by 8 % [3, 13]; "
        "not told apart from popularity in precision@10 (-2 % [-7, 3])."
    )


def test_behind_is_said_before_what_is_not_told_apart() -> None:
    rows = [
        row("popularity", "recall@20", 0.7, "better"),
        row("ease", "recall@20", -0.08, "worse"),
        row("ease", "ndcg@20", -0.09, "worse"),
        row("popularity", "mrr", -0.3, "worse"),
        row("popularity", "map@10", -0.2, "worse"),
        row("popularity", "hit@10", -0.1, "worse"),
        row("popularity", "f1@10", -0.1, "worse"),
        row("ease", "mrr", 0.01, "unclear"),
    ]
    assert headline(rows, "recall@20") == (
        "Behind ease, the strongest of 2 baselines in recall@20: -8 % [-13, -3], and in ndcg@20 (-9 % [-14, -4]); "
        "behind popularity in mrr (-30 % [-35, -25]), map@10, hit@10 and 1 more; "
        "not told apart from ease in mrr (1 % [-4, 6])."
    )


def test_ahead_everywhere_names_the_least_lead() -> None:
    rows = [row("ease", "recall@20", 0.2, "better"), row("ease", "mrr", 0.1, "better")]
    assert headline(rows, "recall@20") == (
        "Ahead of ease in recall@20, by 20 % [15, 25]; ahead in all 2 comparisons, least of ease in mrr (10 % [5, 15])."
    )


def test_nothing_to_compare_says_nothing() -> None:
    assert headline([], "recall@20") == ""


def test_one_test_alone_claims_nothing() -> None:
    assert verdict(row("a", "m", 0.5, "better")) == "better"
    assert verdict(row("a", "m", -0.5, "worse")) == "worse"
    assert verdict(row("a", "m", 0.5, "better") | {"p_bootstrap": 0.05}) == "unclear"


def test_over_a_baseline_of_zero_leads_are_absolute() -> None:
    assert lead(row("a", "m", None, "better")) == "0.0200 [0.0100, 0.0300]"


@pytest.mark.parametrize(
    ("share", "text"), [(0.123, "12"), (0.004, "0.4"), (-0.0001, "0"), (-0.0095, "-1"), (1, "100")]
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text
