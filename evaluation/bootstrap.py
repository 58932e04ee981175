"""Means over users with percentile bootstrap intervals (Efron and Tibshirani 1993, chapter 13)."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from evaluation.errors import EvaluationError

FEWEST = 20
"""Users under which a group is shown without an interval: resampling so few says too little."""

_CELLS = 4_000_000
"""Drawn users held at once (resamples x users): 32 MB, however many users there are."""


def summarise(
    values: Mapping[str, Float[np.ndarray, "users"]], *, seed: int, resamples: int = 1000, level: float = 0.95
) -> dict[str, dict[str, Any]]:
    """Each metric's mean over users and its bootstrap interval.

    Arrays of one length are resampled together and depend on `seed` and that length only, so adding a metric
    does not move the others.

    Returns:
        name -> `{"mean": float, "ci95": [low, high]}` (`ci90` at `level=.9`).

    Raises:
        EvaluationError: no user, or a value that is not finite.
    """
    out: dict[str, dict[str, Any]] = {}
    lengths = sorted({len(array) for array in values.values()})
    for users in lengths:
        names = [name for name, array in values.items() if len(array) == users]
        table = np.stack([_checked(name, values[name]) for name in names], axis=1)
        means = np.concatenate(list(resampled_means(table, seed=seed, resamples=resamples)))
        tail = (1 - level) / 2
        low, high = np.quantile(means, [tail, 1 - tail], axis=0)
        for column, name in enumerate(names):
            out[name] = {
                "mean": float(table[:, column].mean()),
                f"ci{round(level * 100)}": [float(low[column]), float(high[column])],
            }
    return {name: out[name] for name in values}


def group_summary(
    values: Mapping[str, Float[np.ndarray, "users"]], *, seed: int, resamples: int = 200
) -> dict[str, dict[str, Any]]:
    """`summarise` of a group of users; of fewer than `FEWEST` the means alone."""
    found = summarise(values, seed=seed, resamples=resamples)
    return {name: value if len(values[name]) >= FEWEST else {"mean": value["mean"]} for name, value in found.items()}


def resampled_means(
    table: Float[np.ndarray, "users columns"], *, seed: int, resamples: int
) -> Iterator[Float[np.ndarray, "block columns"]]:
    """Column means of `resamples` draws of users with replacement, in blocks that bound the memory."""
    users = len(table)
    rng = np.random.default_rng([seed, users])
    block = max(_CELLS // users, 1)
    for start in range(0, resamples, block):
        draws = min(block, resamples - start)
        drawn = rng.integers(users, size=(draws, users))
        drawn += np.arange(draws)[:, None] * users
        times = np.bincount(drawn.ravel(), minlength=draws * users).reshape(draws, users)
        yield times.astype(np.float64) @ table / users


def _checked(name: str, array: Float[np.ndarray, "users"]) -> Float[np.ndarray, "users"]:
    if len(array) == 0:
        raise EvaluationError(f"{name} has 0 users to average; hold out at least one positive")
    numbers = np.asarray(array, dtype=np.float64)
    if not np.isfinite(numbers).all():
        user = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise EvaluationError(f"{name} of user {user} is {numbers[user]}; leave users without a value out")
    return numbers
