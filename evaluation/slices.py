"""Where a model is good: by users' activity, items' popularity, cold items, items that lack a modality."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Int

from evaluation.bootstrap import group_summary
from evaluation.errors import EvaluationError
from evaluation.metrics import evaluated_users, user_metrics

ACTIVITY_EDGES: tuple[int, ...] = (0, 1, 6, 11, 21, 51)
"""Lower ends of the user groups, in training interactions."""


def slice_metrics(
    ranked: Int[np.ndarray, "users depth"],
    positives: sp.csr_matrix,
    train: sp.csr_matrix,
    ks: Sequence[int],
    *,
    has_modality: Mapping[str, Bool[np.ndarray, "items"]] | None = None,
    groups: Mapping[str, Mapping[str, Bool[np.ndarray, "items"]]] | None = None,
    seed: int,
    resamples: int = 200,
    edges: Sequence[int] = ACTIVITY_EDGES,
) -> dict[str, dict[str, Any]]:
    """Metrics within groups of users and of items.

    Args:
        ranked: as for `user_metrics`.
        positives: users x items, binary: what was held out.
        train: users x items: what the model was trained on; says who is active and what is popular or cold.
        ks: cut-offs.
        has_modality: modality -> which items have it.
        groups: further groups of items: name -> slice -> which items are in it.
        seed: of the bootstrap intervals.
        resamples: bootstrap resamples a slice.
        edges: lower ends of the user groups, ascending.

    Returns:
        Group -> slice -> `{"users": n, "positives": m, "metrics": {name: {"mean", "ci95"}}}`, without `ci95` where
        there are fewer than `FEWEST` users. Groups:
        `user_activity` (all metrics), and, over the positives in the slice only, `recall@K` for
        `item_popularity` (`head middle tail`, each about a third of the training interactions), `cold_items`
        (`no training interaction`) and `missing_modality` (one slice a modality). Empty slices are absent.
    """
    if train.shape != positives.shape:
        raise EvaluationError(f"train is {train.shape} but positives {positives.shape}; use one indexing")
    measured = user_metrics(ranked, positives, ks)
    rows = evaluated_users(positives)
    counts = np.diff(positives.indptr)[rows]
    out: dict[str, dict[str, Any]] = {"user_activity": {}}
    for name, members in activity_groups(train, edges).items():
        inside = members[rows]
        if inside.any():
            chosen = {metric: values[inside] for metric, values in measured.items()}
            summary = group_summary(chosen, seed=seed, resamples=resamples)
            users, found = int(inside.sum()), int(counts[inside].sum())
            out["user_activity"][name] = {"users": users, "positives": found, "metrics": summary}
    for group, slices in {**_item_slices(train, has_modality or {}), **(groups or {})}.items():
        out[group] = {}
        for name, members in slices.items():
            part = sp.csr_matrix(positives.multiply(members[None, :].astype(np.float64)))
            part.eliminate_zeros()
            if part.nnz == 0:
                continue
            recall = {m: v for m, v in user_metrics(ranked, part, ks).items() if m.startswith("recall@")}
            summary = group_summary(recall, seed=seed, resamples=resamples)
            users = len(evaluated_users(part))
            out[group][name] = {"users": users, "positives": int(part.nnz), "metrics": summary}
    return {group: slices for group, slices in out.items() if slices}


def activity_groups(train: sp.csr_matrix, edges: Sequence[int]) -> dict[str, Bool[np.ndarray, "users"]]:
    """Users by their number of training interactions: `"0"`, `"1-5"`, ..., `"51+"`."""
    if not edges or any(low >= high for low, high in pairwise(edges)):
        raise EvaluationError(f"edges = {list(edges)} do not ascend; pass the groups' lower ends")
    counts = np.diff(train.indptr)
    groups = {}
    for low, high in pairwise([*edges, np.inf]):
        name = f"{low}+" if high == np.inf else str(low) if high == low + 1 else f"{low}-{int(high) - 1}"
        groups[name] = (counts >= low) & (counts < high)
    return groups


def popularity_groups(train: sp.csr_matrix) -> dict[str, Bool[np.ndarray, "items"]]:
    """Warm items, most popular first, cut where a third and two thirds of the interactions are reached."""
    counts = np.bincount(train.indices, minlength=train.shape[1])
    order = np.argsort(-counts, kind="stable")
    third = np.empty(len(counts), dtype=np.int64)
    third[order] = 3 * (np.cumsum(counts[order]) - counts[order]) // max(counts.sum(), 1)
    third[counts == 0] = -1
    return {name: third == number for number, name in enumerate(("head", "middle", "tail"))}


def _item_slices(
    train: sp.csr_matrix, has_modality: Mapping[str, Bool[np.ndarray, "items"]]
) -> dict[str, dict[str, Bool[np.ndarray, "items"]]]:
    items = train.shape[1]
    for modality, mask in has_modality.items():
        if len(mask) != items:
            raise EvaluationError(f"the {modality} mask has {len(mask)} entries for {items} items")
    cold = np.bincount(train.indices, minlength=items) == 0
    return {
        "item_popularity": popularity_groups(train),
        "cold_items": {"no training interaction": cold},
        "missing_modality": {modality: ~np.asarray(mask, dtype=bool) for modality, mask in has_modality.items()},
    }
