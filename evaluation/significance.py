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

_RESAMPLES_A_TEST = 40
"""The least corrected p-value of m comparisons is m / (resamples + 1): .025 at most."""


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
    (row,) = _bootstrapped(difference[:, None], seed=seed, resamples=resamples, level=level)
    return row


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

    Values are per user, in the same order everywhere (`user_metrics` of one split gives that). Many comparisons take
    more than `resamples`: corrected, the least p-value that the bootstrap can give has to stay well under .05.

    Returns:
        One row a comparison: `baseline metric difference ci95 relative relative_ci95 p_bootstrap p_wilcoxon`, both
        p-values corrected, `relative` a share of the baseline's mean (None where that is 0).

    Raises:
        EvaluationError: a metric a model lacks, or different numbers of users.
    """
    pairs = [(name, metric) for name in baselines for metric in metrics]
    for name, metric in pairs:
        if metric not in baselines[name] or metric not in model:
            raise EvaluationError(f"metric {metric!r} is not measured for both; {name} has {sorted(baselines[name])}")
    if not pairs:
        return []
    table = np.stack([_difference(model[metric], baselines[name][metric]) for name, metric in pairs], axis=1)
    tested = _bootstrapped(table, seed=seed, resamples=max(resamples, _RESAMPLES_A_TEST * len(pairs)))
    by_bootstrap = holm([row["p"] for row in tested])
    by_ranks = holm([wilcoxon(model[metric], baselines[name][metric]) for name, metric in pairs])
    rows = []
    for (name, metric), row, p_bootstrap, p_wilcoxon in zip(pairs, tested, by_bootstrap, by_ranks, strict=True):
        mean = float(baselines[name][metric].mean())
        rows.append(
            {
                "baseline": name,
                "metric": metric,
                "difference": row["difference"],
                "ci95": row["ci95"],
                "relative": row["difference"] / mean if mean else None,
                "relative_ci95": [edge / mean for edge in row["ci95"]] if mean else None,
                "p_bootstrap": p_bootstrap,
                "p_wilcoxon": p_wilcoxon,
            }
        )
    return rows


def _bootstrapped(
    differences: Float[np.ndarray, "users columns"], *, seed: int, resamples: int, level: float = 0.95
) -> list[dict[str, Any]]:
    """`paired_bootstrap` of every column, all on the same draws of users."""
    seen = differences.mean(axis=0)
    means = np.concatenate(list(resampled_means(differences, seed=seed, resamples=resamples)))
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    # The slack keeps rounding from splitting ties, e.g. when all differences are equal.
    extreme = np.abs(means - seen) >= np.abs(seen) - 1e-12
    p = (1 + extreme.sum(axis=0)) / (resamples + 1)
    interval = f"ci{round(level * 100)}"
    return [
        {"difference": float(seen[n]), interval: [float(low[n]), float(high[n])], "p": float(p[n])}
        for n in range(len(seen))
    ]


def _difference(model: Float[np.ndarray, "users"], baseline: Float[np.ndarray, "users"]) -> Float[np.ndarray, "users"]:
    if len(model) != len(baseline) or len(model) == 0:
        raise EvaluationError(f"cannot pair {len(model)} users with {len(baseline)}; measure the same users")
    return np.asarray(model, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
