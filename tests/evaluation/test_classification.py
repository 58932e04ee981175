"""Classification against scikit-learn, and probabilities that are what they say."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import metrics

from evaluation.classification import Block, classified, learned_rule
from evaluation.errors import EvaluationError


def blocks(seed: int, users: int = 120, items: int = 200, size: int = 50) -> list[Block]:
    """Links by a known chance of the score; a tenth of the items is no candidate."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(users, items)).round(2)
    links = rng.random((users, items)) < 1 / (1 + np.exp(5 - 2 * scores))
    links[0] = False
    scores = np.where(rng.random((users, items)) < 0.1, -np.inf, 3 * scores + 7)
    links &= scores > -np.inf
    return [
        (scores[n : n + size].astype(np.float32), sp.csr_matrix(links[n : n + size])) for n in range(0, users, size)
    ]


@pytest.fixture(scope="module")
def found() -> dict:
    return classified(blocks(1), learned_rule(blocks(0)), seed=0)


def flat(test: list[Block]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User, standardised score and link of every candidate of users with a link."""
    rows = []
    for scores, links in test:
        for row, link in zip(scores, links.toarray(), strict=True):
            held = row > -np.inf
            if link.any():
                kept = row[held].astype(np.float64)
                rows.append(((kept - kept.mean()) / kept.std(), link[held]))
    users = np.concatenate([np.full(len(s), n) for n, (s, _) in enumerate(rows)])
    return users, np.concatenate([s for s, _ in rows]), np.concatenate([link for _, link in rows])


def test_metrics_are_scikit_learns(found: dict) -> None:
    users, scores, links = flat(blocks(1))
    said = scores >= found["threshold"]
    assert found["pairs"] == len(links) and found["links"] == links.sum()
    assert found["users"] == len(set(users)) < 120, "user 0 has no link"
    assert found["never"] == pytest.approx(1 - links.mean())
    expected = {
        "accuracy": metrics.accuracy_score(links, said),
        "precision": metrics.precision_score(links, said),
        "recall": metrics.recall_score(links, said),
        "f1": metrics.f1_score(links, said),
        "auc": np.mean([metrics.roc_auc_score(links[users == u], scores[users == u]) for u in set(users)]),
        "average_precision": np.mean(
            [metrics.average_precision_score(links[users == u], scores[users == u]) for u in set(users)]
        ),
    }
    assert {name: value["mean"] for name, value in found["metrics"].items()} == pytest.approx(expected, abs=1e-6)
    for value in found["metrics"].values():
        assert value["ci95"][0] < value["mean"] < value["ci95"][1]


def test_the_threshold_is_validations_best_f1(found: dict) -> None:
    _, scores, links = flat(blocks(0))
    tried = {cut: metrics.f1_score(links, scores >= cut) for cut in np.arange(-1, 3, 0.05)}
    assert metrics.f1_score(links, scores >= found["threshold"]) >= max(tried.values()) - 1e-9


def test_what_is_predicted_is_what_is_observed(found: dict) -> None:
    curve = found["curve"]
    assert len(curve) == 10 and sum(point["pairs"] for point in curve) == found["pairs"]
    predicted = [point["predicted"] for point in curve]
    assert predicted == sorted(predicted) and predicted[-1] > 20 * predicted[0]
    inside = [p["observed"]["ci95"][0] <= p["predicted"] <= p["observed"]["ci95"][1] for p in curve]
    assert sum(inside) >= 7


def test_a_model_that_knows_nothing_is_half_right() -> None:
    rng = np.random.default_rng(3)
    told = [(rng.normal(size=scores.shape).astype(np.float32), links) for scores, links in blocks(1)]
    got = classified(told, learned_rule(blocks(0)), seed=0)
    assert got["metrics"]["auc"]["mean"] == pytest.approx(0.5, abs=0.03)


def test_equal_and_missing_scores_are_taken() -> None:
    lowest = np.finfo(np.float32).min
    scores = np.array([[1, 1, 1, 1], [lowest, 3, 2, -np.inf]], dtype=np.float32)
    links = sp.csr_matrix(np.array([[1, 0, 0, 0], [1, 0, 0, 0]]))
    got = classified([(scores, links)], learned_rule([(scores, links)]), seed=0)
    assert got["metrics"]["auc"] == {"mean": (0.5 + 0.0) / 2}, "few users have no interval"
    assert got["metrics"]["average_precision"]["mean"] == pytest.approx((1 / 4 + 1 / 3) / 2)


def test_nothing_to_learn_or_to_count_is_said() -> None:
    nothing: list[Block] = [(np.zeros((2, 3), dtype=np.float32), sp.csr_matrix((2, 3)))]
    with pytest.raises(EvaluationError, match="0 links"):
        learned_rule(nothing)
    with pytest.raises(EvaluationError, match="no user has a link"):
        classified(nothing, learned_rule(blocks(0)), seed=0)
