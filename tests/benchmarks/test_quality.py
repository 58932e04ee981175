"""The quality benchmark's own numbers: recall of cold items and the table that goes into the README."""

import torch
from torch_geometric.data import HeteroData

from benchmarks.quality import cold_recall, table
from gnn.scorers.base import DotScorer


def scorer_of(rows) -> DotScorer:
    """Scores as given: users x items."""
    scores = torch.tensor(rows, dtype=torch.float32)
    return DotScorer(scores, torch.eye(scores.shape[1]))


def graph_of(train, test) -> HeteroData:
    """Two users, five items."""
    data = HeteroData()
    data["User"].num_nodes, data["Item"].num_nodes = 2, 5
    store = data["User", "INTERACTED", "Item"]
    store.edge_index, store.test_label_index = torch.tensor(train).T, torch.tensor(test).T
    return data


def test_cold_recall_by_hand() -> None:
    # items 3 and 4 are nobody's in train; user 0 is tested on 3, user 1 on 4 and on the known item 0
    data = graph_of([(0, 0), (0, 1), (1, 1), (1, 2)], [(0, 3), (1, 0), (1, 4)])
    scorer = scorer_of([[9, 9, 0.1, 0.5, 0.4], [0.6, 9, 9, 0.5, 0.4]])
    found = cold_recall(scorer, data, depth=1)
    assert found["pairs"] == 2
    assert found["recall"] == 0.5  # user 0 finds 3 first among all, user 1 has 0 and 3 ahead of 4
    assert found["recall_among_cold"] == 0.5  # user 1 has 3 ahead of 4 still
    assert found["random"] == 1 / 5 and found["random_among_cold"] == 1 / 2
    assert cold_recall(scorer, graph_of([(0, 0), (0, 3), (1, 4)], [(1, 0)])) == {"pairs": 0}


def test_the_table_shows_mean_deviation_and_interval_over_seeds() -> None:
    def metrics(value: float):
        names = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")
        return {name: {"mean": value, "ci95": [value - 0.01, value + 0.01]} for name in names}

    seeds = {
        n: {
            "metrics": metrics(value),
            "first_stage": metrics(value),
            "learned_on_validation": metrics(value * 1.1),
            "kept": value > 0.1,
            "one_dot": {"metrics": metrics(value * 0.99)},
            "seconds": 10.0,
            "peak_memory_mb": 500,
            "cold": {"pairs": 2, "recall": 0.5, "random": 0.2, "recall_among_cold": 1.0, "random_among_cold": 0.4},
        }
        for n, value in enumerate((0.1, 0.12))
    }
    text = table("baby", {"baselines": {"popularity": metrics(0.02)}, "seeds": seeds})
    assert "automatic** (2 seeds; second stage kept in 1) | 0.1100 ± 0.0100 [0.1000, 0.1200]" in text
    assert "no fair comparison | 0.1210" in text
    assert "| popularity | 0.0200 | 0.0200 | 0.0200 | 0.0200 |" in text
    assert "99.0% of its recall@20" in text and "(2 test pairs): recall@20 0.5000" in text
    assert "(published)" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {6}


def test_a_table_without_cold_items_says_nothing_of_them() -> None:
    metrics = {name: {"mean": 0.5, "ci95": [0.4, 0.6]} for name in ("recall@10", "recall@20", "ndcg@10", "ndcg@20")}
    measured = dict.fromkeys(("metrics", "first_stage", "learned_on_validation"), metrics)
    costs = {"seconds": 1, "peak_memory_mb": 1, "kept": False, "cold": {"pairs": 0}}
    run = measured | costs | {"one_dot": {"metrics": metrics}}
    assert "nobody has" not in table("none", {"baselines": {}, "seeds": {0: run}})
