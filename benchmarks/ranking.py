"""What a second stage costs: seconds, users per second and memory of retrieval, of ranking and of both.

    python -m benchmarks.ranking BUNDLE... [--users 4000] [--top-k 20]

Each BUNDLE is a folder with a model of two stages, as `benchmarks.quality` leaves in `OUT/SET/run/bundle`. Prints a
Markdown table, one thread's work: CPU seconds, so that other load on the machine counts little.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch

from common.memory import peak_memory, resident_peak
from gnn.bundle.bundle import Bundle, load_bundle
from gnn.ranker.scorer import RankedScorer
from gnn.scorers.ranking import top_items


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--users", type=int, default=4000)
    parser.add_argument("--top-k", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| set | users x items | stage | CPU s | users/s | peak memory beyond the model's |\n|---|---|---|---|---|---|"
    )
    for path in arguments.bundles:
        bundle = load_bundle(path)
        for stage, seconds, memory in measured(bundle, arguments.users, arguments.top_k):
            users, items = min(arguments.users, len(bundle.user_ids)), len(bundle.item_ids)
            rate = f"{users / seconds:,.0f}"
            name = bundle.manifest.get("dataset")
            print(f"| {name} | {users:,} x {items:,} | {stage} | {seconds:.2f} | {rate} | {memory / 2**20:,.0f} MB |")


def measured(bundle: Bundle, count: int, depth: int) -> list[tuple[str, float, int]]:
    """Stage, CPU seconds and bytes for lists of `count` users, evenly spread."""
    scorer = bundle.scorer
    if not isinstance(scorer, RankedScorer):
        raise SystemExit(f"{bundle.manifest.get('dataset')} is a {scorer.kind!r} scorer, which has no second stage")
    users = torch.linspace(0, len(bundle.user_ids) - 1, min(count, len(bundle.user_ids))).long()
    retriever = scorer.retrieval.scorer

    def features() -> None:
        for _ in scorer.retrieval.candidates(users):
            pass

    calls: dict[str, Callable[[], object]] = {
        "retrieval": lambda: top_items(retriever, users, bundle.seen, depth),
        "candidates and features": features,
        "retrieval and ranking": lambda: top_items(scorer, users, bundle.seen, depth),
    }
    found = [(stage, *_cost(call)) for stage, call in calls.items()]
    seconds = {stage: spent for stage, spent, _ in found}
    ranking = seconds["retrieval and ranking"] - seconds["retrieval"]
    return [*found[:2], ("ranking alone", ranking, found[2][2]), found[2]]


def _cost(call: Callable[[], object]) -> tuple[float, int]:
    with peak_memory() as peak:
        before, start = resident_peak(), time.process_time()
        call()
        seconds = time.process_time() - start
    return seconds, max(0, peak.resident - before)


if __name__ == "__main__":
    main()
