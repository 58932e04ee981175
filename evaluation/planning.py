"""How many users an A/B test needs, and how to watch it without fooling oneself."""

import numpy as np
import scipy.stats
from jaxtyping import Float

from evaluation.errors import EvaluationError


def sample_size(effect: float, deviation: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Users in each of two equal variants to find a difference of means `effect`.

    `deviation` is that of one user's value; for a rate p it is sqrt(p (1 - p)).
    """
    if effect == 0 or deviation <= 0:
        raise EvaluationError(f"effect = {effect} with deviation = {deviation} needs endless users; pass both > 0")
    return int(np.ceil(2 * (_quantiles(alpha, power) * deviation / effect) ** 2))


def minimum_detectable_effect(users: int, deviation: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest true difference found with this power by `users` in each of two variants."""
    if users < 1 or deviation < 0:
        raise EvaluationError(f"{users} users with deviation {deviation} detect nothing; pass users >= 1")
    return float(_quantiles(alpha, power) * deviation * np.sqrt(2 / users))


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
    if prior_deviation <= 0 or np.any(np.asarray(variance) <= 0):
        raise EvaluationError(f"prior_deviation = {prior_deviation} and all variances must be positive")
    prior, v, d = prior_deviation**2, np.asarray(variance, dtype=np.float64), np.asarray(difference)
    log_ratio = 0.5 * np.log(v / (v + prior)) + prior * d**2 / (2 * v * (v + prior))
    p = np.minimum.accumulate(np.minimum(1.0, np.exp(-log_ratio)))
    half = np.sqrt(v * (v + prior) / prior * (2 * np.log(1 / alpha) + np.log((v + prior) / v)))
    return {"p": p.tolist(), "low": (d - half).tolist(), "high": (d + half).tolist()}


def _quantiles(alpha: float, power: float) -> float:
    return float(scipy.stats.norm.isf(alpha / 2) + scipy.stats.norm.ppf(power))
