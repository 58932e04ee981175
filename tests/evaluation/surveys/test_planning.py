"""The sizes that a survey is planned with find what they say as often as they say."""

import numpy as np
import pytest
import scipy.stats

from evaluation.errors import EvaluationError
from evaluation.surveys.planning import survey_plan


def test_sizes_have_the_power_they_promise() -> None:
    plan = survey_plan(0.65, response_rate=0.25)
    rng = np.random.default_rng(0)
    shift = np.sqrt(2) * scipy.stats.norm.ppf(0.65)  # of normals, this gives the superiority
    new, old = rng.normal(shift, 1, (1500, plan.between)), rng.normal(0, 1, (1500, plan.between))
    found = (scipy.stats.mannwhitneyu(new, old, axis=1, method="asymptotic").pvalue < 0.05).mean()
    assert found == pytest.approx(0.8, abs=0.04)
    wins = scipy.stats.binom(plan.within, 0.65)
    p = np.array([scipy.stats.binomtest(k, plan.within).pvalue for k in range(plan.within + 1)])
    assert wins.pmf(np.arange(plan.within + 1))[p < 0.05].sum() == pytest.approx(0.81, abs=0.012)
    assert plan.invite_between == 4 * 2 * plan.between and plan.invite_within == 4 * plan.within


def test_noether() -> None:
    # (1.959964 + .841621)^2 / (12 / 4 * .1^2) = 261.6 answers in all
    assert survey_plan(0.6).between == 131 == survey_plan(0.4).between


@pytest.mark.parametrize("wrong", [0.5, 0.0, 1.0])
def test_nothing_to_find(wrong: float) -> None:
    with pytest.raises(EvaluationError, match="nothing to find"):
        survey_plan(wrong)
    with pytest.raises(EvaluationError, match="are no plan"):
        survey_plan(0.6, response_rate=0)
