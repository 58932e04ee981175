"""Test quality on the public datasets, beside closed forms and published results.

    python -m benchmarks.quality --data FOLDER [--sets tiktok baby] [--seeds 0 1 2] [--out runs/quality]

FOLDER holds the `.npz` files that `benchmarks.datasets` reads. Each set is built once; each seed trains the automatic
choice of its config (selected on validation) and is measured on test once. Writes `quality.json` and `quality.md`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_geometric.data import HeteroData

from benchmarks.published import PUBLISHED
from benchmarks.sets import FILES, prepared
from common.files import write_json, write_text
from gnn.config import GNNConfig
from gnn.matrices import held_out, interactions
from gnn.ranker.config import SecondStageConfig
from gnn.ranker.learning import learn
from gnn.ranker.scorer import retrieval_of
from gnn.registry import make_recommender
from gnn.scorers.base import Scorer
from gnn.scorers.one_dot import one_dot
from gnn.scorers.ranking import masked_scores, row_pairs, user_blocks
from modalweave.config import RunConfig
from modalweave.progress import Stages
from modalweave.stages.evaluate import evaluate
from modalweave.stages.inputs import read_bundle, read_graph
from modalweave.stages.measured import measure
from modalweave.stages.train import train

BASELINES: dict[str, dict[str, Any]] = {
    "popularity": {"model": "popularity"},
    "item_knn": {"model": "item_knn"},
    "ease": {"model": "ease"},
    "ease with media": {"model": "ease", "ease": {"media_weights": None}},
    "graph_filter": {"model": "graph_filter"},
}
"""Closed forms by their `gnn:` section."""

ONE_DOT = 320
"""Dimensions of the sum as one dot product."""

SHOWN = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the .npz files")
    parser.add_argument("--sets", nargs="+", default=list(FILES), choices=list(FILES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/quality"))
    args = parser.parse_args()
    results = {}
    for name in args.sets:
        results[name] = run_set(name, args.data, args.out / name, args.seeds)
        write_json(args.out / "quality.json", results)
        write_text(args.out / "quality.md", "\n".join(table(n, r) for n, r in results.items()))
    print(json.dumps(results))


def run_set(name: str, data: Path, out: Path, seeds: list[int]) -> dict[str, Any]:
    """Build one set, then train and test each seed and every baseline."""
    config = prepared(name, data, out)
    models: dict[str, Any] = {"baselines": _baselines(config), "seeds": {}}
    for seed in seeds:
        stages = Stages()
        seeded = config.model_copy(update={"seed": seed})
        trained = train(seeded, stages=stages)
        tested = evaluate(seeded, split="test", stages=stages)
        graph, scorer = read_graph(seeded, Stages(quiet=True)), read_bundle(seeded).scorer
        dot = one_dot(retrieval_of(scorer), max_dimensions=ONE_DOT, seed=seed)
        short = measure(dot, graph, "test", config.evaluation, seed=seed).summary
        first = retrieval_of(scorer)
        told = SecondStageConfig(learn_on="validation")
        marked = learn(first, graph, None, told, seed=seed).scorer
        models["seeds"][seed] = {
            "kept": scorer is not first,
            "first_stage": measure(first, graph, "test", config.evaluation, seed=seed).summary,
            "learned_on_validation": measure(marked, graph, "test", config.evaluation, seed=seed).summary,
            "one_dot": {"dimensions": dot.item_vectors.shape[1], "metrics": short},
            "cold": cold_recall(scorer, graph),
            "peak_memory_mb": trained.peak_memory_mb,
            "metrics": tested.to_json()["metrics"],
            "chosen": trained.chosen,
            "seconds": stages.seconds["train"],
        }
    return models


def table(name: str, result: dict[str, Any]) -> str:
    """One set as a Markdown table: published rows, closed forms, then the mean over seeds."""
    lines = [f"## {name}", "", f"| model | {' | '.join(SHOWN)} |", f"|---|{'---|' * len(SHOWN)}"]
    for model, (recall, ndcg) in PUBLISHED.get(name, {}).items():
        lines.append(f"| {model} (published) | | {recall:.4f} | | {ndcg:.4f} |")
    for model, metrics in result["baselines"].items():
        cells = " | ".join(f"{metrics[m]['mean']:.4f}" for m in SHOWN)
        lines.append(f"| {model} | {cells} |")
    runs = list(result["seeds"].values())
    kept = sum(run["kept"] for run in runs)
    for label, key in (
        ("Modalweave, first stage", "first_stage"),
        (f"**Modalweave, automatic** ({len(runs)} seeds; second stage kept in {kept})", "metrics"),
        ("second stage learned on validation: no fair comparison", "learned_on_validation"),
    ):
        summed = []
        for metric in SHOWN:
            values = [run[key][metric]["mean"] for run in runs]
            low, high = np.mean([run[key][metric]["ci95"] for run in runs], axis=0)
            summed.append(f"{np.mean(values):.4f} ± {np.std(values):.4f} [{low:.4f}, {high:.4f}]")
        lines.append(f"| {label} | {' | '.join(summed)} |")
    seconds, memory = (np.mean([run[key] for run in runs]) for key in ("seconds", "peak_memory_mb"))
    dots = [r["one_dot"]["metrics"]["recall@20"]["mean"] / r["first_stage"]["recall@20"]["mean"] for r in runs]
    lines += [
        "",
        "Mean ± deviation over seeds, 95 % bootstrap interval over users; "
        f"{seconds:.0f} s and {memory:.0f} MB to train. "
        f"The first stage as one dot product of at most {ONE_DOT} dimensions: {np.mean(dots):.1%} of its recall@20.",
        "",
    ]
    cold = [run["cold"] for run in runs if run["cold"]["pairs"]]
    if cold:
        recall = np.mean([c["recall"] for c in cold])
        among = np.mean([c["recall_among_cold"] for c in cold])
        lines += [
            f"Items nobody has in train ({cold[0]['pairs']} test pairs): recall@20 {recall:.4f} (random order "
            f"{cold[0]['random']:.4f}), among such items alone {among:.4f} "
            f"(random {cold[0]['random_among_cold']:.4f}).",
            "",
        ]
    return "\n".join(lines)


def cold_recall(scorer: Scorer, data: HeteroData, depth: int = 20) -> dict[str, float]:
    """Recall over the test pairs whose item nobody has in train: among all items, and among the cold ones alone.

    Popularity knows nothing of such items, so the bar is a random order: `depth / items` and `depth / cold items`.
    """
    seen, positives = interactions(data), held_out(data, "test")
    cold = torch.from_numpy(seen.getnnz(axis=0) == 0)
    users = torch.from_numpy(np.flatnonzero(np.diff(positives.indptr)))
    hits, among, pairs = 0, 0, 0
    for _, block in user_blocks(users, scorer.num_items):
        rows, items = row_pairs(positives, block)
        rows, items = rows[cold[items]], items[cold[items]]
        scores = masked_scores(scorer, block, seen)
        better = scores[rows] > scores[rows, items][:, None]
        hits += int((better.sum(dim=1) < depth).sum())
        among += int((better[:, cold].sum(dim=1) < depth).sum())
        pairs += len(rows)
    if not pairs:
        return {"pairs": 0}
    return {
        "pairs": pairs,
        "recall": hits / pairs,
        "random": depth / scorer.num_items,
        "recall_among_cold": among / pairs,
        "random_among_cold": min(1.0, depth / int(cold.sum())),
    }


def _baselines(config: RunConfig) -> dict[str, Any]:
    data = read_graph(config, Stages(quiet=True))
    found = {}
    for name, section in BASELINES.items():
        scorer = make_recommender(GNNConfig.model_validate(section)).fit(data, seed=config.seed)
        found[name] = measure(scorer, data, "test", config.evaluation, seed=config.seed).summary
    return found


if __name__ == "__main__":
    main()
