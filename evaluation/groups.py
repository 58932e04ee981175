"""Whom a model serves: popularity bias and quality, by groups of users."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

from evaluation.bootstrap import FEWEST, group_summary, resampled_means
from evaluation.lists import Lists
from evaluation.significance import holm

Groups = Mapping[str, Bool[np.ndarray, "evaluated"]]
"""Name -> which of the evaluated users are in it."""


def popularity_bias(lists: Lists, groups: Groups, *, seed: int, resamples: int = 200) -> dict[str, dict[str, Any]]:
    """How much more popular than their own histories what each group is recommended is (Abdollahpouri et al., RMSE
    workshop at RecSys 2019, "group average popularity"); users without a history do not count.

    Returns:
        group -> `{"users", "history", "lists", "lift"}`: an item's popularity is the share of users who have it in
        train, averaged over each history and each list, then over the group; `lift` is lists / history - 1 with its
        bootstrap interval over users.
    """
    popular = lists.counts / max(lists.users, 1)
    lengths = np.diff(lists.history.indptr)
    own = (lists.history.astype(bool) @ popular) / np.maximum(lengths, 1)
    table = np.stack([own, lists.mean(popular)], axis=1)
    found = {}
    for name, members in groups.items():
        mine = table[members & (lengths > 0)]
        if len(mine):
            found[name] = _lift(mine, seed, resamples)
    return found


def fairness(
    values: Mapping[str, Float[np.ndarray, "evaluated"]],
    groupings: Mapping[str, Groups],
    *,
    seed: int,
    resamples: int = 200,
) -> dict[str, dict[str, Any]]:
    """Do groups of users get the same quality? (As in Ekstrand et al., FAT* 2018.)

    Returns:
        grouping -> `{"groups": {name: {"users", "metrics"}}, "gaps": {metric: {"best", "worst", "difference", "ci95",
        "p"}}}`: the gap is between the groups with the highest and the lowest mean, its interval Welch's of these two;
        `p` says whether any groups differ (Kruskal and Wallis 1952), Holm-corrected over all groupings and metrics.
        Groups of fewer than `FEWEST` users are in no gap; without two of that size there is none.
    """
    found: dict[str, dict[str, Any]] = {}
    for grouping, groups in groupings.items():
        inside = {name: members for name, members in groups.items() if members.any()}
        found[grouping] = {
            "groups": {
                name: {
                    "users": int(members.sum()),
                    "metrics": group_summary(
                        {metric: array[members] for metric, array in values.items()}, seed=seed, resamples=resamples
                    ),
                }
                for name, members in inside.items()
            },
            "gaps": {},
        }
        large = {name: members for name, members in inside.items() if members.sum() >= FEWEST}
        if len(large) > 1:
            found[grouping]["gaps"] = {
                metric: _gap({name: array[members] for name, members in large.items()})
                for metric, array in values.items()
            }
    gaps = [gap for one in found.values() for gap in one["gaps"].values()]
    for gap, p in zip(gaps, holm([gap["p"] for gap in gaps]), strict=True):
        gap["p"] = p
    return found


def _lift(table: Float[np.ndarray, "users 2"], seed: int, resamples: int) -> dict[str, Any]:
    own, listed = table.mean(axis=0)
    lift: dict[str, Any] = {"mean": float(listed / own - 1)}
    if len(table) >= FEWEST:
        means = np.concatenate(list(resampled_means(table, seed=seed, resamples=resamples)))
        low, high = np.quantile(means[:, 1] / means[:, 0] - 1, [0.025, 0.975])
        lift["ci95"] = [float(low), float(high)]
    return {"users": len(table), "history": float(own), "lists": float(listed), "lift": lift}


def _gap(values: Mapping[str, Float[np.ndarray, "members"]]) -> dict[str, Any]:
    best = max(values, key=lambda name: values[name].mean())
    worst = min(values, key=lambda name: values[name].mean())
    difference = float(values[best].mean() - values[worst].mean())
    half = _welch(values[best], values[worst]) if difference else 0.0
    alike = np.ptp(np.concatenate(list(values.values()))) == 0
    return {
        "best": best,
        "worst": worst,
        "difference": difference,
        "ci95": [difference - half, difference + half],
        "p": 1.0 if alike else float(scipy.stats.kruskal(*values.values()).pvalue),
    }


def _welch(left: Float[np.ndarray, "members"], right: Float[np.ndarray, "others"]) -> float:
    """Half of the 95 % interval of a difference of means (Welch 1947); 0 where neither group varies."""
    errors = np.array([side.var(ddof=1) / len(side) for side in (left, right)])
    if not errors.any():
        return 0.0
    freedom = errors.sum() ** 2 / (errors**2 / [len(left) - 1, len(right) - 1]).sum()
    return float(scipy.stats.t.ppf(0.975, freedom) * np.sqrt(errors.sum()))
