"""How many users an A/B test needs, and how to watch it without fooling oneself."""

import sys

import numpy as np
import scipy.stats
from jaxtyping import Float

from evaluation.errors import EvaluationError


def sample_size(effect: float, deviation: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Users in each of two equal variants to find a difference of means `effect`.

    `deviation` is that of one user's value; for a rate p it is sqrt(p (1 - p)).
    """
    if not (effect and np.isfinite(effect) and 0 < deviation < np.inf):
        raise EvaluationError(f"effect = {effect} with deviation = {deviation} needs endless users; pass both > 0")
    return int(np.ceil(2 * (power_quantiles(alpha, power) * deviation / effect) ** 2))


def minimum_detectable_effect(users: int, deviation: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest true difference found with this power by `users` in each of two variants."""
    if not (users >= 1 and 0 <= deviation < np.inf):
        raise EvaluationError(f"{users} users with deviation {deviation} detect nothing; pass users >= 1")
    return float(power_quantiles(alpha, power) * deviation * np.sqrt(2 / users))


def always_valid(
    difference: Float[np.ndarray, "looks"],
    variance: Float[np.ndarray, "looks"],
    *,
    prior_deviation: float,
    alpha: float = 0.05,
) -> dict[str, list[float]]:
    """p-values and intervals that stay valid however often one looks and whenever one stops.

    Mixture sequential probability ratio test with a N(0, prior_deviation²) prior (Johari et al. 2022).

    Args:
        difference: difference of means at each look, in order.
        variance: squared standard error of that difference at each look.
        prior_deviation: the size of effect one plans for; fixed before the experiment.
        alpha: chance that the interval ever misses the truth.

    Returns:
        `p` (never rises), `low` and `high`, one for each look.
    """
    v, d = np.asarray(variance, dtype=np.float64), np.asarray(difference, dtype=np.float64)
    if v.shape != d.shape or not np.isfinite(d).all():
        raise EvaluationError(f"{d.size} differences and {v.size} variances; pass one finite number of each a look")
    if not (0 < prior_deviation < np.inf and ((v > 0) & (v < np.inf)).all()):
        raise EvaluationError(f"prior_deviation = {prior_deviation} and all variances must be positive")
    _check_shares(alpha, max(alpha, 0.8))
    prior = prior_deviation**2
    log_ratio = 0.5 * np.log(v / (v + prior)) + prior * d**2 / (2 * v * (v + prior))
    p = np.minimum.accumulate(np.clip(np.exp(-log_ratio), sys.float_info.min, 1.0))
    half = np.sqrt(v * (v + prior) / prior * (2 * np.log(1 / alpha) + np.log((v + prior) / v)))
    return {"p": p.tolist(), "low": (d - half).tolist(), "high": (d + half).tolist()}


def tightest_prior(variance: float, *, alpha: float = 0.05) -> float:
    """The `prior_deviation` for which `always_valid` is (nearly) tightest where the squared error is `variance`.

    Waudby-Smith et al. (2024), whose asymptotic confidence sequence is the mixture test's interval with
    prior_deviation = rho * standard deviation of one user.
    """
    loss = -2 * np.log(alpha)
    return float(np.sqrt(variance * (loss + np.log(loss + 1))))


def power_quantiles(alpha: float, power: float) -> float:
    """What a true difference must be, in standard errors, to be found with this power by a two-sided test."""
    _check_shares(alpha, power)
    return float(scipy.stats.norm.isf(alpha / 2) + scipy.stats.norm.ppf(power))


def _check_shares(alpha: float, power: float) -> None:
    if not 0 < alpha < power < 1:
        raise EvaluationError(f"alpha = {alpha} and power = {power} are no plan; pass e.g. alpha 0.05 and power 0.8")
