"""Is one model better than another on the same users? Paired tests with correction for many comparisons.

Smucker, Allan and Carterette (2007) compare the tests for retrieval; Sakai (2006) argues for the bootstrap.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Float

from evaluation.bootstrap import resampled_means
from evaluation.errors import EvaluationError


def paired_bootstrap(
    model: Float[np.ndarray, "users"],
    baseline: Float[np.ndarray, "users"],
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> dict[str, Any]:
    """Mean difference per user, its percentile interval and a two-sided p-value.

    The p-value is the share of resamples, shifted to a true difference of 0, at least as far from 0 as what
    was seen (Efron and Tibshirani 1993, algorithm 16.2), counting the observed sample itself, so never 0.
    """
    difference = _difference(model, baseline)
    seen = float(difference.mean())
    means = np.concatenate(list(resampled_means(difference[:, None], seed=seed, resamples=resamples)))[:, 0]
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    # The slack keeps rounding from splitting ties, e.g. when all differences are equal.
    extreme = np.abs(means - seen) >= abs(seen) - 1e-12
    p = (1 + int(extreme.sum())) / (resamples + 1)
    return {"difference": seen, f"ci{round(level * 100)}": [float(low), float(high)], "p": p}


def wilcoxon(model: Float[np.ndarray, "users"], baseline: Float[np.ndarray, "users"]) -> float:
    """Two-sided p of the signed-rank test (Wilcoxon 1945), zeros as in Pratt (1959); 1 if all are equal."""
    difference = _difference(model, baseline)
    if not difference.any():
        return 1.0
    return float(scipy.stats.wilcoxon(difference, zero_method="pratt", method="asymptotic").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Step-down corrected p-values (Holm 1979), in the order given: reject where at most alpha."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    raised = np.minimum(np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))), 1.0)
    out = np.empty_like(p)
    out[order] = raised
    return [float(value) for value in out]


def compare(
    model: Mapping[str, Float[np.ndarray, "users"]],
    baselines: Mapping[str, Mapping[str, Float[np.ndarray, "users"]]],
    metrics: Sequence[str],
    *,
    seed: int,
    resamples: int = 1000,
) -> list[dict[str, Any]]:
    """Test `model` against each baseline on each metric; p-values Holm-corrected over all those comparisons.

    Values are per user, in the same order everywhere (`user_metrics` of one split gives that).

    Returns:
        One row a comparison: `baseline metric difference ci95 p_bootstrap p_wilcoxon` (both corrected).

    Raises:
        EvaluationError: a metric a model lacks, or different numbers of users.
    """
    rows: list[dict[str, Any]] = []
    for name, values in baselines.items():
        for metric in metrics:
            if metric not in values or metric not in model:
                raise EvaluationError(f"metric {metric!r} is not measured for both; {name} has {sorted(values)}")
            tested = paired_bootstrap(model[metric], values[metric], seed=seed, resamples=resamples)
            p = wilcoxon(model[metric], values[metric])
            rows.append({"baseline": name, "metric": metric, **tested, "p_wilcoxon": p})
    for corrected, row in zip(holm([row["p"] for row in rows]), rows, strict=True):
        row["p_bootstrap"] = corrected
    for corrected, row in zip(holm([row["p_wilcoxon"] for row in rows]), rows, strict=True):
        row["p_wilcoxon"] = corrected
        del row["p"]
    return rows


def _difference(model: Float[np.ndarray, "users"], baseline: Float[np.ndarray, "users"]) -> Float[np.ndarray, "users"]:
    if len(model) != len(baseline) or len(model) == 0:
        raise EvaluationError(f"cannot pair {len(model)} users with {len(baseline)}; measure the same users")
    return np.asarray(model, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
