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

from benchmarks.datasets import convert
from benchmarks.published import PUBLISHED
from gnn.registry import make_recommender
from gnn.settings import GNNConfig
from modalweave import pipeline
from modalweave.building import build
from modalweave.config import RunConfig, load_config
from modalweave.console import Stages
from modalweave.files import write_json, write_text
from modalweave.measure import measure

FILES = {"tiktok": "tiktok.npz", "lastfm": "lastfm2k.npz", "baby": "amazon_baby.npz", "ml100k": "ml100k.npz"}
BASELINES = ("popularity", "item_knn", "ease", "graph_filter")
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
        results[name] = run_set(name, args.data / FILES[name], args.out / name, args.seeds)
        write_json(args.out / "quality.json", results)
        write_text(args.out / "quality.md", "\n".join(table(n, r) for n, r in results.items()))
    print(json.dumps(results))


def run_set(name: str, source: Path, out: Path, seeds: list[int]) -> dict[str, Any]:
    """Build one set, then train and test each seed and every baseline."""
    convert(source, out / "data")
    overrides = [f"source.path={out / 'data'}", f"workspace={out / 'run'}"]
    config = load_config(Path(__file__).parent / "configs" / f"{name}.yaml", overrides)
    build(config, strict=False, stages=Stages())
    models: dict[str, Any] = {"baselines": _baselines(config), "seeds": {}}
    for seed in seeds:
        stages = Stages()
        seeded = config.model_copy(update={"seed": seed})
        trained = pipeline.train(seeded, stages=stages)
        tested = pipeline.evaluate(seeded, split="test", stages=stages)
        models["seeds"][seed] = {
            "metrics": tested["metrics"],
            "chosen": trained["chosen"],
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
    cells = []
    for metric in SHOWN:
        values = [run["metrics"][metric]["mean"] for run in runs]
        low, high = np.mean([run["metrics"][metric]["ci95"] for run in runs], axis=0)
        cells.append(f"**{np.mean(values):.4f}** ± {np.std(values):.4f} [{low:.4f}, {high:.4f}]")
    lines.append(f"| **Modalweave, automatic** ({len(runs)} seeds) | {' | '.join(cells)} |")
    seconds = np.mean([run["seconds"] for run in runs])
    lines += [
        "",
        f"Mean ± deviation over seeds, 95 % bootstrap interval over users; {seconds:.0f} s to train.",
        "",
    ]
    return "\n".join(lines)


def _baselines(config: RunConfig) -> dict[str, Any]:
    data = pipeline.read_graph(config, Stages(quiet=True))
    found = {}
    for model in BASELINES:
        scorer = make_recommender(GNNConfig(model=model)).fit(data, seed=config.seed)
        found[model] = measure(scorer, data, "test", config.evaluation, seed=config.seed).summary
    return found


if __name__ == "__main__":
    main()
