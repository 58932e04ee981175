"""People a model never met, beside the same people in its training.

    python -m benchmarks.fold_in --data FOLDER [--sets ml100k tiktok] [--seed 0] [--out runs/fold_in]

A tenth of the people with test interactions, drawn by seed, are taken out of training and validation altogether. The
model of the config is fitted once with and once without them, and the latter is given their training histories
afterwards (`score --histories`). Both are measured on their test interactions.
"""

import argparse
import json
from copy import copy
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from benchmarks.sets import FILES, prepared
from evaluation.metrics import user_metrics
from gnn.closed_form.popularity import Popularity
from gnn.fold_in import fold_in
from gnn.matrices import held_out, interactions
from gnn.registry import make_recommender
from gnn.scorers.base import Scorer
from gnn.scorers.ranking import top_items
from graph.hetero import INTERACTED
from modalweave.progress import Stages
from modalweave.stages.inputs import read_graph

SHARE = 0.1
METRICS = ("recall@20", "ndcg@20")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the .npz files")
    parser.add_argument("--sets", nargs="+", default=["ml100k", "tiktok"], choices=list(FILES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/fold_in"))
    args = parser.parse_args()
    for name in args.sets:
        config = prepared(name, args.data, args.out / name)
        data, seed = read_graph(config, Stages(quiet=True)), args.seed
        history, test = interactions(data), held_out(data, "test")
        there = np.flatnonzero((test.getnnz(axis=1) > 0) & (history.getnnz(axis=1) > 0))
        hidden = np.sort(np.random.default_rng(seed).choice(there, round(SHARE * len(there)), replace=False))
        less = without(data, hidden)
        trained = make_recommender(config.gnn).fit(data, seed=seed)
        never_met = make_recommender(config.gnn).fit(less, seed=seed)
        folded = fold_in(never_met, history[hidden], np.full(len(hidden), -1), interactions(less))
        popular = Popularity().fit(less, seed=seed)
        everyone = np.arange(len(hidden))
        found = {
            "trained with them": quality(trained, hidden, history, test[hidden]),
            "folded in": quality(folded, everyone, history[hidden], test[hidden]),
            "what is popular": quality(popular, hidden, history, test[hidden]),
        }
        print(json.dumps({"set": name, "people": len(hidden), **found}, indent=2), flush=True)


def without(data: HeteroData, users: np.ndarray) -> HeteroData:
    """The graph in which these users have done nothing."""
    less = copy(data)
    store, kept = less[INTERACTED], torch.ones(int(data["User"].num_nodes), dtype=torch.bool)
    kept[torch.from_numpy(users)] = False
    edges, valid = kept[store.edge_index[0]], kept[store.valid_label_index[0]]
    for key, value in store.items():
        if key in ("edge_index", "weight", "timestamp"):
            store[key] = value[..., edges]
        elif key.startswith("valid_label"):
            store[key] = value[..., valid]
    return less


def quality(scorer: Scorer, users: np.ndarray, seen: sp.csr_matrix, positives: sp.csr_matrix) -> dict[str, float]:
    """Means over the users."""
    items, _ = top_items(scorer, torch.from_numpy(users), seen, 20)
    values = user_metrics(items, positives, [20])
    return {metric: round(float(values[metric].mean()), 4) for metric in METRICS}


if __name__ == "__main__":
    main()
