"""How many people a survey has to reach before it can tell two variants apart."""

from dataclasses import dataclass
from math import ceil, sqrt

import scipy.stats

from evaluation.errors import EvaluationError


@dataclass(frozen=True)
class SurveyPlan:
    """Answers needed to find a superiority, by layout."""

    superiority: float
    """Chance that an answer on the new variant is the higher one, ties half; .5 is no difference."""
    alpha: float
    power: float
    between: int
    """Answers on each of two variants, seen by other people (Noether 1987)."""
    within: int
    """People who answer on both, or say which they prefer (exact binomial test)."""
    response_rate: float
    invite_between: int
    """People to invite in all."""
    invite_within: int


def survey_plan(
    superiority: float, *, alpha: float = 0.05, power: float = 0.8, response_rate: float = 1.0
) -> SurveyPlan:
    """Two-sided tests at `alpha`; raises `EvaluationError` where nothing is to be found."""
    if not 0 < superiority < 1 or superiority == 0.5:
        raise EvaluationError(f"superiority = {superiority} is nothing to find; pass e.g. 0.6 (0.5: no difference)")
    if not 0 < alpha < power < 1 or not 0 < response_rate <= 1:
        raise EvaluationError(f"alpha = {alpha}, power = {power}, response rate = {response_rate} are no plan")
    a, b = scipy.stats.norm.isf(alpha / 2), scipy.stats.norm.ppf(power)
    effect = superiority - 0.5
    between = ceil((a + b) ** 2 / (12 * 0.25 * effect**2) / 2)
    within = ceil(((a / 2 + b * sqrt(superiority * (1 - superiority))) / effect) ** 2)
    while _binomial_power(within, superiority, alpha) < power:  # the formula is of the normal approximation
        within += 1
    invited = ceil(2 * between / response_rate), ceil(within / response_rate)
    return SurveyPlan(superiority, alpha, power, between, within, response_rate, *invited)


def _binomial_power(people: int, share: float, alpha: float) -> float:
    """Chance that the two-sided exact test of equal shares finds this one."""
    most = scipy.stats.binom.ppf(alpha / 2, people, 0.5) - 1  # so few are still found: cdf(most) <= alpha / 2
    found = scipy.stats.binom(people, share)
    return float(found.cdf(most) + found.sf(people - most - 1))
