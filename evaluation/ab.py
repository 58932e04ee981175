"""Online A/B tests of recommender variants, e.g. multimodal against single-modal.

Assignment, checks and tests follow Kohavi, Tang and Xu, *Trustworthy Online Controlled Experiments* (2020).
"""

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import scipy.stats
from jaxtyping import Float

from evaluation.errors import EvaluationError
from evaluation.hashing import points
from evaluation.significance import holm
from evaluation.survey import wilson

SRM_ALPHA = 0.0005
"""p under which a sample ratio mismatch is called (Fabijan et al. 2019)."""

_ROUNDING = 1e-12


def assign(user_ids: Sequence[str], weights: Mapping[str, float], *, salt: str) -> list[str]:
    """Each user's variant: equal id, salt and weights give an equal variant, on any machine, for ever.

    Args:
        user_ids: any text.
        weights: variant -> share of traffic, positive; need not add up to 1.
        salt: the experiment's name, so that experiments split users independently.
    """
    _check_weights(weights)
    names = list(weights)
    ends = np.cumsum([weights[name] for name in names])
    ends = ends / ends[-1]
    places = np.minimum(np.searchsorted(ends, points(user_ids, salt), side="right"), len(names) - 1)
    return [names[place] for place in places]


def sample_ratio_mismatch(counts: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, Any]:
    """Chi-square test that users arrived in the planned ratio: `{"p": .., "mismatch": .., "empty": [variant, ..]}`.

    A mismatch means assignment or logging is broken and the results must not be read (Fabijan et al. 2019): a p
    under `SRM_ALPHA`, or a planned variant without any user, however few the others are.
    """
    _check_weights(weights)
    if unknown := sorted(set(counts) - set(weights)):
        raise EvaluationError(f"variant {unknown[0]!r} has no planned weight; planned are {sorted(weights)}")
    if min([0, *counts.values()]) < 0 or not sum(counts.values()):
        raise EvaluationError(f"counts = {dict(counts)} are no numbers of users; count each variant's users")
    seen = np.array([counts.get(name, 0) for name in weights], dtype=np.float64)
    planned = np.array(list(weights.values()), dtype=np.float64)
    p = _above_zero(scipy.stats.chisquare(seen, planned / planned.sum() * seen.sum()).pvalue)
    empty = [name for name in weights if not counts.get(name, 0)]
    return {"p": p, "mismatch": p < SRM_ALPHA or bool(empty), "empty": empty}


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
    p = _above_zero(2 * scipy.stats.norm.sf(abs(a - b) / error)) if error > 0 else 1.0
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
    """Difference of means with unequal variances (Welch 1947), its interval and two-sided p.

    Where all values of both variants are constant there is no variance to test by: equal ones give p = 1, others
    p = None and a `reason`.
    """
    _check_finite(np.concatenate([values, control]))
    if min(len(values), len(control)) < 2:
        raise EvaluationError(f"Welch's test of {len(values)} and {len(control)} users needs 2 in each variant")
    difference, key = float(np.mean(values) - np.mean(control)), f"ci{round(level * 100)}"
    # what rounding leaves of a constant is none of its variance
    slack = _ROUNDING * max(float(np.abs(values).max()), float(np.abs(control).max()))
    if max(np.ptp(values), np.ptp(control)) <= slack:
        if abs(difference) <= slack:
            return {"difference": difference, key: [difference] * 2, "p": 1.0}
        return {"difference": difference, key: None, "p": None, "reason": "each variant's values are all equal"}
    with warnings.catch_warnings():  # of one constant variant, whose variance is 0 all the same
        warnings.simplefilter("ignore", RuntimeWarning)
        test = scipy.stats.ttest_ind(values, control, equal_var=False)
    low, high = test.confidence_interval(level)
    return {"difference": difference, key: [float(low), float(high)], "p": _above_zero(test.pvalue)}


def cuped(
    values: Float[np.ndarray, "users"], before: Float[np.ndarray, "users"]
) -> tuple[Float[np.ndarray, "users"], float]:
    """Values less what a covariate predicts (Deng et al. 2013), and the share of variance that removed.

    Pass all variants together: one slope for all keeps the comparison unbiased. `before` must be measured
    before the experiment began; NaN, where a user has none, counts as the mean of the others and adjusts nothing.
    """
    if len(values) != len(before):
        raise EvaluationError(f"{len(before)} covariates for {len(values)} users; pass one each")
    known = ~np.isnan(before)
    _check_finite(values)
    _check_finite(before[known])
    if not known.any() or np.ptp(before[known]) == 0 or np.ptp(values) == 0:
        return np.asarray(values, dtype=np.float64), 0.0
    centred = np.where(known, before - np.mean(before[known]), 0.0)
    adjusted = values - np.mean((values - np.mean(values)) * centred) / np.mean(centred**2) * centred
    return adjusted, float(1 - np.var(adjusted) / np.var(values))


def analyse(
    variant: Sequence[str],
    values: Float[np.ndarray, "users"],
    weights: Mapping[str, float],
    *,
    control: str,
    kind: Literal["rate", "mean"],
    before: Float[np.ndarray, "users"] | None = None,
    users: Sequence[str] | None = None,
) -> dict[str, Any]:
    """One metric of an experiment: the split checked, each variant tested against control, p Holm-corrected.

    Args:
        variant: of each user.
        values: each user's metric; 0 or 1 for `kind="rate"`.
        weights: variant -> planned share of traffic.
        control: the variant the others are held against, e.g. the single-modal one.
        kind: `rate` for a two-proportion test, `mean` for Welch's.
        before: the same metric before the experiment, NaN where a user has none: CUPED (means only).
        users: each row's user id, where known; an id that stands twice is refused.

    Returns:
        `users` and `means` of each variant, `split` as `sample_ratio_mismatch`, `variance_removed` and
        `covariates_missing` by CUPED, and `tests` of each variant but control: `difference`, `ci95`, `p` and `p_holm`,
        all None beside a `reason` where a variant holds too few users to be tested.
    """
    labels, numbers = np.asarray(variant), np.asarray(values, dtype=np.float64)
    if len(labels) != len(numbers):
        raise EvaluationError(f"{len(numbers)} values for {len(labels)} users; pass one finite number for each")
    _check_finite(numbers)
    if control not in weights:
        raise EvaluationError(f"control {control!r} has no planned weight; planned are {sorted(weights)}")
    if kind == "rate" and (before is not None or not np.isin(numbers, (0, 1)).all()):
        raise EvaluationError("kind 'rate' takes values of 0 or 1 and no covariate; use kind 'mean'")
    if users is not None:
        _check_users(users, labels)
    counts = {name: int((labels == name).sum()) for name in weights}
    outsiders = set(labels.tolist()) - set(weights)
    split = sample_ratio_mismatch({**counts, **dict.fromkeys(outsiders, 1)}, weights)
    means = {name: float(numbers[labels == name].mean()) for name in weights if counts[name]}
    removed, missing = 0.0, 0
    if before is not None:
        covariate = np.asarray(before, dtype=np.float64)
        numbers, removed = cuped(numbers, covariate)
        missing = int(np.isnan(covariate).sum())
    groups = {name: numbers[labels == name] for name in weights}
    base = groups.pop(control)
    tests = {name: _test(kind, group, base) for name, group in groups.items()}
    tested = [test for test in tests.values() if test["p"] is not None]
    for test, p in zip(tested, holm([test["p"] for test in tested]), strict=True):
        test["p_holm"] = p
    cleared = {"variance_removed": removed, "covariates_missing": missing}
    return {"users": counts, "means": means, "split": split, **cleared, "tests": tests}


def _test(kind: str, group: Float[np.ndarray, "users"], base: Float[np.ndarray, "control"]) -> dict[str, Any]:
    """The variant's test, with a place for its corrected p; without one where it or control has too few users."""
    needed = 1 if kind == "rate" else 2
    if min(len(group), len(base)) < needed:
        reason = f"{len(group)} users against {len(base)}; a {kind} needs {needed} in each variant"
        return {"difference": None, "ci95": None, "p": None, "p_holm": None, "reason": reason}
    if kind == "rate":
        found = two_proportions(int(group.sum()), len(group), int(base.sum()), len(base))
    else:
        found = welch(group, base)
    return {**found, "p_holm": None}


def _check_weights(weights: Mapping[str, float]) -> None:
    if not weights or not all(0 < share < np.inf for share in weights.values()):
        raise EvaluationError(f"weights = {dict(weights)} has a share that is not positive; drop that variant")


def _check_finite(values: Float[np.ndarray, "users"]) -> None:
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        place = f"{len(wrong)} of {len(values)} values are no finite numbers, the first at row {wrong[0] + 1}"
        raise EvaluationError(f"{place}; give 0 where a user did nothing, leave out whom you did not watch")


def _check_users(users: Sequence[str], labels: np.ndarray[Any, Any]) -> None:
    if len(users) != len(labels):
        raise EvaluationError(f"{len(users)} user ids for {len(labels)} rows; pass one each")
    rows: dict[str, list[str]] = {}
    for user, label in zip(users, labels.tolist(), strict=True):
        rows.setdefault(user, []).append(label)
    for among, words in (
        ({u for u, found in rows.items() if len(set(found)) > 1}, "stand in two variants; leave them out"),
        ({u for u, found in rows.items() if len(found) > 1}, "stand in two rows; add up the rows of each user"),
    ):
        if among:
            named = [repr(user) for user in rows if user in among]
            raise EvaluationError(
                f"{len(among)} of {len(rows)} users {words}: {', '.join(named[:5])}{' ...' if len(named) > 5 else ''}"
            )


def _above_zero(p: float) -> float:
    """A p-value that underflowed is small, not 0."""
    return max(float(p), sys.float_info.min)
