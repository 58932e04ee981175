"""What a change of the model is worth, over users and over training seeds, and when it may be claimed.

A mean over users says how far a number would move with other users; training with another seed moves it too. Both go
into the interval, and a claim needs three tests after Holm's correction: the paired bootstrap and Wilcoxon's over
users, and a t-test over users and seeds.
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Float

from evaluation.errors import EvaluationError
from evaluation.significance import holm, paired_bootstrap, wilcoxon
from evaluation.verdict import ALPHA, Verdict

Values = Float[np.ndarray, "seeds users"]
TESTS = ("p_bootstrap", "p_wilcoxon", "p_seeds")


def seed_spread(models: Mapping[str, Values]) -> tuple[float, int]:
    """Variance between the seeds' means, pooled over models, and its degrees of freedom; (0, 0) with one seed each.

    Three seeds of one model alone would leave it two degrees of freedom, and no claim would survive that.
    """
    several = [table.mean(axis=1) for table in map(_checked, models.values()) if len(table) > 1]
    freedom = sum(len(means) - 1 for means in several)
    total = sum(float(np.var(means, ddof=1)) * (len(means) - 1) for means in several)
    return (total / freedom, freedom) if freedom else (0.0, 0)


def seeded_mean(values: Values, spread: tuple[float, int] = (0.0, 0), *, level: float = 0.95) -> dict[str, Any]:
    """The mean over users and seeds, its interval and the deviation of the seeds' means (None with one seed).

    Squared standard error = var(users' means) / users + max(pooled, own variance of the seeds' means) / seeds, degrees
    of freedom by Satterthwaite (1946). `spread` is what `seed_spread` gives.
    """
    table = _checked(values)
    error, freedom = _error(table.mean(axis=0), _seed_variance(table, spread), max(spread[1], len(table) - 1))
    half = float(scipy.stats.t.ppf((1 + level) / 2, freedom)) * error
    mean = float(table.mean())
    deviation = float(np.std(table.mean(axis=1), ddof=1)) if len(table) > 1 else None
    return {"mean": mean, f"ci{round(level * 100)}": [mean - half, mean + half], "deviation": deviation}


def effects(
    models: Mapping[str, Values], pairs: Mapping[str, tuple[str, str]], *, seed: int, resamples: int = 1000
) -> dict[str, dict[str, Any]]:
    """`raw_effects` with p-values Holm-corrected over all pairs, and a verdict each."""
    return corrected(raw_effects(models, pairs, seed=seed, resamples=resamples))


def raw_effects(
    models: Mapping[str, Values], pairs: Mapping[str, tuple[str, str]], *, seed: int, resamples: int = 1000
) -> dict[str, dict[str, Any]]:
    """Test pairs of models (with, without) on the same users.

    A model trained once may stand beside one of several seeds.

    Returns:
        name -> `{"with", "without", "mean", "baseline", "difference", "ci95", "relative", "relative_ci95" (shares of
        the baseline, null where that is 0), "p_bootstrap", "p_wilcoxon", "p_seeds", "users"}`.
    """
    spread = seed_spread(models)
    found: dict[str, dict[str, Any]] = {}
    for name, (with_it, without) in pairs.items():
        left, right = _checked(models[with_it]), _checked(models[without])
        by_user = left.mean(axis=0), right.mean(axis=0)
        difference = float(left.mean() - right.mean())
        error, freedom = _error(
            by_user[0] - by_user[1], _seed_variance(left, spread) + _seed_variance(right, spread), spread[1]
        )
        half = float(scipy.stats.t.ppf(1 - ALPHA / 2, freedom)) * error
        interval, baseline = [difference - half, difference + half], float(right.mean())
        found[name] = {
            "with": with_it,
            "without": without,
            "mean": float(left.mean()),
            "baseline": baseline,
            "difference": difference,
            "ci95": interval,
            "relative": difference / baseline if baseline else None,
            "relative_ci95": [edge / baseline for edge in interval] if baseline else None,
            "p_bootstrap": paired_bootstrap(*by_user, seed=seed, resamples=resamples)["p"],
            "p_wilcoxon": wilcoxon(*by_user),
            "p_seeds": _p_of_t(difference, error, freedom),
            "users": left.shape[1],
        }
    return found


def corrected(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rows of raw p-values with Holm's correction over all of them, each with its verdict."""
    rows = {name: dict(row) for name, row in found.items()}
    for test in TESTS:
        for row, p in zip(rows.values(), holm([row[test] for row in rows.values()]), strict=True):
            row[test] = p
    for row in rows.values():
        row["verdict"] = _verdict(row)
    return rows


def _seed_variance(table: Values, spread: tuple[float, int]) -> float:
    """Of the mean over seeds; a model trained once because it is the same for every seed has none."""
    if len(table) == 1:
        return 0.0
    return max(spread[0], float(np.var(table.mean(axis=1), ddof=1))) / len(table)


def _error(by_user: Float[np.ndarray, "users"], by_seed: float, seed_freedom: int) -> tuple[float, float]:
    """Standard error of a mean over users and seeds, and its degrees of freedom."""
    users = len(by_user)
    own = float(np.var(by_user, ddof=1)) / users if users > 1 else 0.0
    scale = own**2 / max(users - 1, 1) + by_seed**2 / max(seed_freedom, 1)
    return float(np.sqrt(own + by_seed)), ((own + by_seed) ** 2 / scale if scale > 0 else 1.0)


def _p_of_t(difference: float, error: float, freedom: float) -> float:
    """Two-sided; of a difference that is the same for everybody as small as a number gets."""
    if not error:
        return sys.float_info.min if difference else 1.0
    return float(2 * scipy.stats.t.sf(abs(difference) / error, freedom))


def _verdict(row: Mapping[str, Any]) -> Verdict:
    if max(row[test] for test in TESTS) > ALPHA:
        return "unclear"
    return "better" if row["difference"] > 0 else "worse"


def _checked(values: Values) -> Values:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise EvaluationError(f"values are {table.shape}; pass finite numbers, one row a seed and one column a user")
    return table
