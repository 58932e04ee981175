"""Online A/B tests of recommender variants, e.g. multimodal against single-modal.

Assignment, checks and tests follow Kohavi, Tang and Xu, *Trustworthy Online Controlled Experiments* (2020).
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import scipy.stats
from jaxtyping import Float

from evaluation.errors import EvaluationError
from evaluation.significance import holm
from evaluation.survey import wilson

SRM_ALPHA = 0.0005
"""p under which a sample ratio mismatch is called (Fabijan et al. 2019)."""


def assign(user_ids: Sequence[str], weights: Mapping[str, float], *, salt: str) -> list[str]:
    """Each user's variant: equal id, salt and weights give an equal variant, on any machine, for ever.

    Args:
        user_ids: any text.
        weights: variant -> share of traffic, positive; need not add up to 1.
        salt: the experiment's name, so that experiments split users independently.
    """
    if not weights or min(weights.values()) <= 0:
        raise EvaluationError(f"weights = {dict(weights)} has a share that is not positive; drop that variant")
    names = list(weights)
    ends = np.cumsum([weights[name] for name in names])
    ends = ends / ends[-1]
    digests = (hashlib.sha256(f"{salt}\0{user}".encode()).digest()[:8] for user in user_ids)
    points = np.array([int.from_bytes(digest, "big") / 2**64 for digest in digests])
    places = np.minimum(np.searchsorted(ends, points, side="right"), len(names) - 1)
    return [names[place] for place in places]


def sample_ratio_mismatch(counts: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, Any]:
    """Chi-square test that users arrived in the planned ratio: `{"p": .., "mismatch": p < SRM_ALPHA}`.

    A mismatch means assignment or logging is broken and the results must not be read (Fabijan et al. 2019).
    """
    if unknown := sorted(set(counts) - set(weights)):
        raise EvaluationError(f"variant {unknown[0]!r} has no planned weight; planned are {sorted(weights)}")
    seen = np.array([counts.get(name, 0) for name in weights], dtype=np.float64)
    planned = np.array(list(weights.values()), dtype=np.float64)
    p = float(scipy.stats.chisquare(seen, planned / planned.sum() * seen.sum()).pvalue)
    return {"p": p, "mismatch": p < SRM_ALPHA}


def two_proportions(
    successes: int, users: int, control_successes: int, control_users: int, *, level: float = 0.95
) -> dict[str, Any]:
    """Pooled z-test of a rate against control's, with Newcombe's (1998) interval of the difference."""
    if not (0 <= successes <= users and 0 <= control_successes <= control_users and users and control_users):
        shares = f"{successes}/{users} against {control_successes}/{control_users}"
        raise EvaluationError(f"{shares} are not rates; count each user at most once")
    a, b = successes / users, control_successes / control_users
    pooled = (successes + control_successes) / (users + control_users)
    error = np.sqrt(pooled * (1 - pooled) * (1 / users + 1 / control_users))
    p = float(2 * scipy.stats.norm.sf(abs(a - b) / error)) if error > 0 else 1.0
    (low_a, high_a), (low_b, high_b) = (
        wilson(successes, users, level=level),
        wilson(control_successes, control_users, level=level),
    )
    low = a - b - np.hypot(a - low_a, high_b - b)
    high = a - b + np.hypot(high_a - a, b - low_b)
    return {"difference": a - b, f"ci{round(level * 100)}": [float(low), float(high)], "p": p}


def welch(
    values: Float[np.ndarray, "users"], control: Float[np.ndarray, "control"], *, level: float = 0.95
) -> dict[str, Any]:
    """Difference of means with unequal variances (Welch 1947), its interval and two-sided p."""
    if min(len(values), len(control)) < 2:
        raise EvaluationError(f"Welch's test of {len(values)} and {len(control)} users needs 2 in each variant")
    difference = float(np.mean(values) - np.mean(control))
    if np.ptp(values) == 0 and np.ptp(control) == 0:
        return {
            "difference": difference,
            f"ci{round(level * 100)}": [difference] * 2,
            "p": float(difference == 0),
        }
    test = scipy.stats.ttest_ind(values, control, equal_var=False)
    low, high = test.confidence_interval(level)
    return {
        "difference": difference,
        f"ci{round(level * 100)}": [float(low), float(high)],
        "p": float(test.pvalue),
    }


def cuped(
    values: Float[np.ndarray, "users"], before: Float[np.ndarray, "users"]
) -> tuple[Float[np.ndarray, "users"], float]:
    """Values less what a covariate predicts (Deng et al. 2013), and the share of variance that removed.

    Pass all variants together: one slope for all keeps the comparison unbiased. `before` must be measured
    before the experiment began.
    """
    if len(values) != len(before):
        raise EvaluationError(f"{len(before)} covariates for {len(values)} users; pass one each")
    spread = np.var(before)
    if spread == 0 or np.var(values) == 0:
        return np.asarray(values, dtype=np.float64), 0.0
    slope = np.cov(values, before, ddof=0)[0, 1] / spread
    adjusted = values - slope * (before - np.mean(before))
    return adjusted, float(1 - np.var(adjusted) / np.var(values))


def analyse(
    variant: Sequence[str],
    values: Float[np.ndarray, "users"],
    weights: Mapping[str, float],
    *,
    control: str,
    kind: Literal["rate", "mean"],
    before: Float[np.ndarray, "users"] | None = None,
) -> dict[str, Any]:
    """One metric of an experiment: the split checked, each variant tested against control, p Holm-corrected.

    Args:
        variant: of each user.
        values: each user's metric; 0 or 1 for `kind="rate"`.
        weights: variant -> planned share of traffic.
        control: the variant the others are held against, e.g. the single-modal one.
        kind: `rate` for a two-proportion test, `mean` for Welch's.
        before: the same metric before the experiment: CUPED (means only).
    """
    labels, numbers = np.asarray(variant), np.asarray(values, dtype=np.float64)
    if len(labels) != len(numbers) or not np.isfinite(numbers).all():
        raise EvaluationError(f"{len(numbers)} values for {len(labels)} users; pass one finite number for each")
    if control not in weights or not (labels == control).any():
        raise EvaluationError(f"control {control!r} has no users; variants seen are {sorted(set(labels.tolist()))}")
    if kind == "rate" and (before is not None or not np.isin(numbers, (0, 1)).all()):
        raise EvaluationError("kind 'rate' takes values of 0 or 1 and no covariate; use kind 'mean'")
    counts = {name: int((labels == name).sum()) for name in weights}
    outsiders = set(labels.tolist()) - set(weights)
    split = sample_ratio_mismatch({**counts, **dict.fromkeys(outsiders, 1)}, weights)
    removed = 0.0
    means = {name: float(numbers[labels == name].mean()) for name in weights if counts[name]}
    if before is not None:
        numbers, removed = cuped(numbers, np.asarray(before, dtype=np.float64))
    groups = {name: numbers[labels == name] for name in weights if counts[name]}
    base = groups.pop(control)
    tests = {name: _test(kind, group, base) for name, group in groups.items()}
    for test, p in zip(tests.values(), holm([test["p"] for test in tests.values()]), strict=True):
        test["p_holm"] = p
    return {"users": counts, "means": means, "split": split, "variance_removed": removed, "tests": tests}


def _test(kind: str, group: Float[np.ndarray, "users"], base: Float[np.ndarray, "control"]) -> dict[str, Any]:
    if kind == "rate":
        return two_proportions(int(group.sum()), len(group), int(base.sum()), len(base))
    return welch(group, base)
