"""What another policy would have earned, from lists that were logged with the chance of what they showed.

Inverse propensity scores (Horvitz and Thompson 1952), self-normalised (Swaminathan and Joachims 2015) and doubly
robust (Dudik, Langford and Li 2011). None can say anything of what the logging policy never showed: overlap is
checked, and told.
"""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Float

from evaluation.errors import EvaluationError

_ROWS_LEFT = 0.05
"""Share of effective rows under which the estimates rest on few."""


@dataclass(frozen=True)
class Estimate:
    """A policy's mean reward."""

    value: float
    ci95: tuple[float, float]
    """Normal, from the rows' own spread."""


@dataclass(frozen=True)
class OffPolicy:
    """The estimates and what they rest on."""

    ips: Estimate
    snips: Estimate
    dr: Estimate | None
    """None without a model of the reward."""
    rows: int
    effective_rows: float
    """Kish's: (sum of weights)² / sum of squares."""
    weight_mean: float
    """1 where the logging policy shows all that the new one would."""
    weight_max: float
    clipped: int
    notes: tuple[str, ...]
    """Why the estimates should not be believed, where they should not."""


def off_policy(
    rewards: Float[np.ndarray, "rows"],
    logged: Float[np.ndarray, "rows"],
    wanted: Float[np.ndarray, "rows"],
    *,
    modelled: Float[np.ndarray, "rows"] | None = None,
    modelled_wanted: Float[np.ndarray, "rows"] | None = None,
    clip: float | None = None,
) -> OffPolicy:
    """Estimate the mean reward of a policy from the log of another.

    Args:
        rewards: what each shown item earned, e.g. clicked or not.
        logged: the chance with which it was shown, in (0, 1].
        wanted: the chance with which the new policy would show it.
        modelled: a model's guess at the reward of what was shown.
        modelled_wanted: its mean guess under the new policy, over all that could be shown; both for `dr`.
        clip: the greatest weight let stand (biased, steadier); the rows are counted.

    Raises:
        EvaluationError: lengths that differ, or chances that are none.
    """
    arrays = [np.asarray(a, dtype=np.float64) for a in (rewards, logged, wanted)]
    _check(*arrays)
    earned, shown, asked = arrays
    raw = asked / shown
    weights = raw if clip is None else np.minimum(raw, clip)
    ips, mean = _mean(weights * earned), float(weights.mean())
    total = float(weights.sum())
    value = float((weights * earned).sum() / total) if total > 0 else 0.0
    snips = _around(value, weights * (earned - value) / (total / len(earned)) if total > 0 else weights)
    dr = None
    if modelled is not None and modelled_wanted is not None:
        guess, guess_wanted = np.asarray(modelled, dtype=np.float64), np.asarray(modelled_wanted, dtype=np.float64)
        if not len(guess) == len(guess_wanted) == len(earned):
            raise EvaluationError(f"{len(guess)} and {len(guess_wanted)} guesses for {len(earned)} rows; pass one each")
        dr = _mean(guess_wanted + weights * (earned - guess))
    effective = total**2 / float((weights**2).sum()) if total > 0 else 0.0
    clipped = 0 if clip is None else int((raw > clip).sum())
    notes = _notes(raw, effective)
    return OffPolicy(ips, snips, dr, len(earned), effective, mean, float(raw.max()), clipped, notes)


def _notes(weights: Float[np.ndarray, "rows"], effective: float) -> tuple[str, ...]:
    said = []
    error = float(weights.std(ddof=1) / len(weights) ** 0.5)
    if abs(weights.mean() - 1) > max(3 * error, 1e-9):
        said.append(
            f"The weights average {weights.mean():.3g}, not 1: the log lacks what the new policy shows, or the chances "
            "are wrong."
        )
    if effective < _ROWS_LEFT * len(weights):
        said.append(
            f"{len(weights):,} rows count as {effective:,.0f}: the policies overlap little, and few rows decide."
        )
    return tuple(said)


def _mean(values: Float[np.ndarray, "rows"]) -> Estimate:
    value = float(values.mean())
    return _around(value, values - value)


def _around(value: float, residual: Float[np.ndarray, "rows"]) -> Estimate:
    n = len(residual)
    half = float(scipy.stats.norm.ppf(0.975) * np.sqrt((residual**2).sum() / (n * (n - 1))))
    return Estimate(value, (value - half, value + half))


def _check(earned: np.ndarray, shown: np.ndarray, asked: np.ndarray) -> None:
    if not len(earned) == len(shown) == len(asked) or len(earned) < 2:
        sizes = f"{len(earned)} rewards, {len(shown)} logged and {len(asked)} wanted chances"
        raise EvaluationError(f"{sizes}; pass one each, at least 2")
    if not np.isfinite(earned).all():
        raise EvaluationError("a reward is no finite number; give 0 where nothing was earned")
    for name, chances, least in (("logged", shown, 0.0), ("wanted", asked, -1.0)):
        wrong = np.flatnonzero(~((chances > least) & (chances >= 0) & (chances <= 1)))
        if len(wrong):
            row = wrong[0]
            raise EvaluationError(f"{name} chance of row {row + 1} is {chances[row]}; what was shown has one in (0, 1]")
