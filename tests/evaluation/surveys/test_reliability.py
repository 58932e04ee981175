"""Reliability: published and worked answers, and what disturbs it."""

import numpy as np
import pytest

from evaluation.surveys.reliability import alpha_interval, cronbach_alpha, item_rest, mcdonald_omega, reliability

X = np.nan
PUBLISHED = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0],
        [X, 0, 1, 1, X, 1, 1, 1, 1, 0, 0],
        [1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0],
        [0, 1, X, 0, 1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 1, 1, 0, 0, 0, 0, 1, 0],
        [1, 0, 0, 1, 0, 1, 0, 0, X, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    ]
)
"""The worked example of real-statistics.com that R's psych and pingouin give answers to."""


def test_alpha_of_a_published_example() -> None:
    alpha = cronbach_alpha(PUBLISHED)
    assert alpha == pytest.approx(0.8016949152542373)  # psych::alpha(data, use = "complete.obs")
    assert alpha_interval(alpha, 12, 11) == pytest.approx((0.581, 0.933), abs=5e-4)  # pingouin counts all 12 rows


def test_alpha_by_hand() -> None:
    column = np.array([1.0, 2, 3, 4, 5])
    assert cronbach_alpha(np.stack([column, column], axis=1)) == pytest.approx(1.0)
    assert cronbach_alpha(np.array([[1.0, 2], [2, 1], [3, 4], [4, 3]])) == pytest.approx(0.75)
    # k = 3, variances 1 + 1 + 0, of the sums 4: 3/2 (1 - 2/4)
    assert cronbach_alpha(np.array([[1.0, 2, 3], [2, 3, 3], [3, 4, 3]])) == pytest.approx(0.75)
    for undefined in (column[:, None], np.ones((4, 3)), np.array([[1.0, X], [2, X]])):
        assert cronbach_alpha(undefined) is None


def with_covariance(covariance: np.ndarray, rows: int = 60) -> np.ndarray:
    """Answers whose covariance (over n) is exactly this."""
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(rows, len(covariance)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / rows)).T
    return white @ np.linalg.cholesky(covariance).T + 3


def test_omega_of_one_exact_factor() -> None:
    loadings, unique = np.array([0.9, 0.6, 0.7, 0.4]), np.array([0.5, 0.8, 0.3, 1.1])
    answers = with_covariance(np.outer(loadings, loadings) + np.diag(unique))
    assert mcdonald_omega(answers) == pytest.approx(2.6**2 / (2.6**2 + 2.7), abs=1e-4)
    # equal loadings: omega is alpha
    parallel = with_covariance(np.full((3, 3), 0.5) + np.diag([0.5, 0.5, 0.5]))
    assert mcdonald_omega(parallel) == pytest.approx(cronbach_alpha(parallel), abs=1e-4)
    assert mcdonald_omega(answers[:, :2]) is None and mcdonald_omega(answers[:4]) is None


def test_a_question_that_runs_against_is_named() -> None:
    rng = np.random.default_rng(1)
    taste = rng.normal(size=200)
    answers = np.clip(np.round(3 + taste[:, None] * [1, 1, 1, -1] + rng.normal(0, 0.5, (200, 4))), 1, 5)
    got = reliability(["a", "b", "c", "d"], answers)
    assert got.item_rest["d"] < 0 < got.item_rest["a"] and got.omega is None
    assert got.notes == ("d runs against the rest; if worded negatively, say `reversed: true`",)
    answers[:, 3] = 6 - answers[:, 3]
    mended = reliability(["a", "b", "c", "d"], answers)
    assert mended.alpha is not None and mended.alpha > 0.8 and mended.omega is not None and not mended.notes
    assert item_rest(answers)[0] == pytest.approx(np.corrcoef(answers[:, 0], answers[:, 1:].sum(axis=1))[0, 1])


@pytest.mark.filterwarnings("error")
def test_constant_and_unanswered_questions_are_left_out_and_said() -> None:
    answers = np.array([[1.0, 2, 3, X], [2, 1, 3, X], [3, 4, 3, X], [4, X, 3, X]])
    got = reliability(["a", "b", "same", "none"], answers)
    assert got.questions == ("a", "b") and got.rows == 3
    assert got.notes == (
        "everybody answered same with 3; it is left out",
        "nobody answered none; it is left out",
        "1 of 4 rows left something out and do not count",
    )
    assert reliability(["same", "none"], answers[:, 2:]).alpha is None
