"""Two arms of an experiment held against each other: means, ratios and clusters by one formula.

A ratio of sums R = sum(y) / sum(x) has the linearised residuals (y - R x) / mean(x) (delta method; Deng, Knoblich and
Lu 2018); a mean is the ratio with x = 1. Residuals summed within clusters give the cluster-robust variance. Both equal
statsmodels' weighted least squares of y / x on a constant with weights x, HC1 or clustered.
"""

import sys
from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Float, Int

from evaluation.ab import two_proportions


@dataclass(frozen=True)
class Arm:
    """What the users of one variant did."""

    above: Float[np.ndarray, "users"]
    below: Float[np.ndarray, "users"]
    """1 unless the metric is a ratio."""
    cluster: Int[np.ndarray, "users"] | None = None

    def value(self) -> float:
        """The mean, or the ratio of sums; NaN where nothing stands below the line."""
        total = self.below.sum()
        return float(self.above.sum() / total) if total > 0 else float("nan")

    def variance(self) -> tuple[float, int]:
        """Squared standard error of the value, and what it was taken from: users or clusters."""
        residual: Float[np.ndarray, units] = self.above - self.value() * self.below
        if self.cluster is not None:
            _, places = np.unique(self.cluster, return_inverse=True)
            residual = np.bincount(places, weights=residual)
        n = len(residual)
        return float(n / (n - 1) * (residual**2).sum() / self.below.sum() ** 2), n


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A variant less control; all None beside a `reason` where there is nothing to test by."""

    difference: float | None = None
    ci95: tuple[float, float] | None = None
    p: float | None = None
    relative: float | None = None
    """As a share of control's value; None where that is not above 0."""
    relative_ci95: tuple[float, float] | None = None
    """By the delta method."""
    reason: str | None = None


def compare_arms(arm: Arm, base: Arm, *, scale: float | None = None, rate: bool = False) -> Difference:
    """Two-sided test by Welch's t (Satterthwaite's degrees of freedom); of rates over users the two-proportion test.

    Args:
        arm: the variant.
        base: control.
        scale: what relative differences are shares of; control's own value unless given (an adjusted one has none).
        rate: each user's value is 0 or 1.
    """
    fewest = min(len(_units(arm)), len(_units(base)))
    if fewest < 2 or not min(arm.below.sum(), base.below.sum()) > 0:
        return Difference(reason=f"{len(arm.above)} users against {len(base.above)} are too few to test")
    (own, n), (others, m) = arm.variance(), base.variance()
    difference, variance = arm.value() - base.value(), own + others
    if variance <= 1e-24 * max(abs(arm.value()), abs(base.value()), sys.float_info.min) ** 2:
        return Difference(difference=difference, reason="each variant's values are all equal")
    freedom = variance**2 / (own**2 / (n - 1) + others**2 / (m - 1))
    half = float(scipy.stats.t.ppf(0.975, freedom)) * variance**0.5
    p = float(2 * scipy.stats.t.sf(abs(difference) / variance**0.5, freedom))
    interval = (difference - half, difference + half)
    if rate and arm.cluster is None:
        found = two_proportions(int(arm.above.sum()), n, int(base.above.sum()), m)
        p, interval = found["p"], (found["ci95"][0], found["ci95"][1])
    relative, around = _relative(difference, own, others, base.value() if scale is None else scale)
    return Difference(
        difference=difference,
        ci95=interval,
        p=max(p, sys.float_info.min),
        relative=relative,
        relative_ci95=around,
    )


def _units(arm: Arm) -> np.ndarray:
    return arm.above if arm.cluster is None else np.unique(arm.cluster)


def _relative(
    difference: float, own: float, others: float, scale: float
) -> tuple[float | None, tuple[float, float] | None]:
    if not scale > 0:
        return None, None
    share = difference / scale
    error = np.sqrt(own + (1 + share) ** 2 * others) / scale
    half = float(scipy.stats.norm.ppf(0.975) * error)
    return share, (share - half, share + half)
