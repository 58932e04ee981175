"""Every recommender, fusion, loss and propagation there is, through the shared cases; one without a case fails."""

from typing import Any

import pytest

from gnn.config import GNNConfig
from gnn.network.registries import FUSIONS, LOSSES, PROPAGATIONS
from gnn.registry import RECOMMENDERS
from gnn.testing import RecommenderCases

NETWORK: dict[str, Any] = {"model": "hetero", "embedding_dim": 8, "epochs": 2, "negatives": 16, "batch_users": 20}
SAMPLED = NETWORK | {"batching": "sampled", "fan_out": 3, "batch_size": 64}
PART = {name: value for name, value in NETWORK.items() if name != "model"}

CASES: dict[str, dict[str, Any]] = {
    "popularity": {"model": "popularity"},
    "item_knn": {"model": "item_knn", "item_knn": {"k": 8}},
    "ease": {"model": "ease", "ease": {"media_weights": None}},
    "ease cut": {"model": "ease", "ease": {"dense_limit": 10, "rank": 12}},
    "graph_filter": {"model": "graph_filter"},
    "graph_filter pruned": {"model": "graph_filter", "graph_filter": {"dense_limit": 10, "row_entries": 8}},
    "joint": NETWORK,
    "joint sampled": SAMPLED,
    "feature": NETWORK | {"fusion": "feature", "imputation": {"method": "neighbours"}},
    "feature sampled": SAMPLED | {"fusion": "feature", "imputation": {"method": "neighbours"}},
    "attended": NETWORK | {"fusion": "attended"},
    "attended sampled": SAMPLED | {"fusion": "attended"},
    "decision": NETWORK | {"fusion": "decision"},
    "sampled_softmax": NETWORK | {"loss": "sampled_softmax"},
    "sampled_softmax sampled": SAMPLED | {"loss": "sampled_softmax"},
    "bpr": NETWORK | {"loss": "bpr"},
    "bpr sampled": SAMPLED | {"loss": "bpr"},
    "attention": NETWORK | {"propagation": "attention"},
    "attention sampled": SAMPLED | {"propagation": "attention"},
    "ensemble": {
        "model": "ensemble",
        "ensemble": {"parts": [{"model": "hetero", "network": PART}, {"model": "ease"}, {"model": "popularity"}]},
    },
    "ensemble as one dot": {
        "model": "ensemble",
        "ensemble": {"parts": [{"model": "hetero", "network": PART}, {"model": "item_knn"}], "max_dimensions": 20},
    },
    "ranked": {
        "model": "ranked",
        "ranked": {"retriever": "item_knn", "candidates": 12, "trees": {"rounds": 8, "least_rows": 3}},
        "item_knn": {"k": 8},
    },
    "ranked on validation": {
        "model": "ranked",
        "ranked": {"retriever": "ensemble", "learn_on": "validation", "trees": {"rounds": 8, "least_rows": 3}},
        "ensemble": {"parts": [{"model": "ease"}, {"model": "popularity"}]},
    },
    "auto": {"model": "auto", **PART, "auto": {"closed_forms": ["graph_filter", "popularity"]}},
}


class TestEveryRecommender(RecommenderCases):
    @pytest.fixture(params=CASES.values(), ids=CASES)
    def gnn(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        return request.param


def test_none_is_without_a_case() -> None:
    networks = [GNNConfig.model_validate(case) for case in CASES.values() if case["model"] == "hetero"]
    assert {case["model"] for case in CASES.values()} == set(RECOMMENDERS)
    for mode in ("full", "sampled"):
        tried = [c for c in networks if (c.batching == "sampled") == (mode == "sampled")]
        assert {c.fusion for c in tried} - {"decision"} == set(FUSIONS), mode
        assert {c.loss for c in tried} == set(LOSSES), mode
        assert {c.propagation for c in tried} == set(PROPAGATIONS), mode
