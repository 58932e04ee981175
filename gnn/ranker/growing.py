"""Trees grown by LightGBM's LambdaMART (Burges, 2010; Ke et al., NeurIPS 2017), handed on as plain arrays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int

from gnn.ranker.config import TreesConfig
from gnn.ranker.trees import Trees

if TYPE_CHECKING:
    import lightgbm


def grow(
    rows: Float[np.ndarray, "rows features"],
    labels: Int[np.ndarray, "rows"],
    lists: Int[np.ndarray, "lists"],
    monotone: Sequence[int],
    config: TreesConfig,
    *,
    seed: int,
) -> Trees:
    """Trees that put label 1 before 0 within each list (`lists`: how many rows each has, in order).

    Equal input, seed and settings give equal trees, on any number of threads.
    """
    from lightgbm import Dataset, train  # here: only what trains a ranker needs it

    settings: dict[str, Any] = {
        "objective": "lambdarank",
        "num_leaves": config.leaves,
        "learning_rate": config.learning_rate,
        "feature_fraction": config.feature_share,
        "min_data_in_leaf": config.least_rows,
        "monotone_constraints": list(monotone),
        "use_missing": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": torch.get_num_threads(),
        "seed": seed,
        "verbosity": -1,
    }
    data = Dataset(rows, labels, group=lists)
    booster = train(settings, data, config.rounds)
    return from_lightgbm(booster)


def from_lightgbm(booster: "lightgbm.Booster") -> Trees:
    """A booster over float32 features without missing values and categories, as plain arrays."""
    nodes: list[tuple[int, float, int, int, float, float]] = []
    roots = []

    def add(node: dict[str, Any]) -> int:
        own = len(nodes)
        if "split_index" not in node:
            nodes.append((-1, 0.0, 0, 0, node["leaf_value"], node.get("leaf_count", 1)))
            return own
        nodes.append((node["split_feature"], node["threshold"], 0, 0, 0.0, node["internal_count"]))
        left, right = add(node["left_child"]), add(node["right_child"])
        nodes[own] = (*nodes[own][:2], left, right, *nodes[own][4:])
        return own

    for tree in booster.dump_model()["tree_info"]:
        roots.append(add(tree["tree_structure"]))
    feature, threshold, left, right, value, cover = (np.array(column) for column in zip(*nodes, strict=True))
    below = threshold.astype(np.float32)
    # features are float32: with the next number below, a row goes where it went while the trees grew
    below = np.where(below > threshold, np.nextafter(below, np.float32(-np.inf)), below)
    kinds = (np.int32, np.float32, np.int32, np.int32, np.float32, np.float32, np.int32)
    arrays = (feature, below, left, right, value, np.maximum(cover, 1), np.array(roots))
    return Trees(*(np.ascontiguousarray(array, dtype=kind) for array, kind in zip(arrays, kinds, strict=True)))
