"""Throughput of the batch job beside the arithmetic it cannot do without, and beside a peer.

    python -m benchmarks.scoring [--kind dot] [--users 4000] [--items 100000] [--dim 64] [--top-k 20] [--job-only]
    python -m benchmarks.scoring --items 1000000 --users 20000 --job-only --rounds 1 --index hnsw

Prints one JSON object: users per second of the whole job (bundle verified, seen items masked, ties broken, Parquet
written and hashed) and of the bare products it needs, in blocks whose results are thrown away; for `--kind dot` also of
`torch.topk` after them with the seen items masked, as full-sort prediction in RecBole does, and, where it is installed,
of `implicit`'s top-K with its filter. Same vectors, same machine, rounds interleaved, the best of each.
`item_item`: 100 weights an item on histories of 20; `sum`: both.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer
from gnn.scorers.ranking import row_pairs, user_blocks
from scoring.config import ScoringConfig
from scoring.job import run_job

HISTORY, WEIGHTS, TASTES = 20, 100, 200
"""Interactions of a user; weights of an item; centres of vectors."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["dot", "item_item", "sum"], default="dot")
    for name, default in (("users", 4000), ("items", 100_000), ("dim", 64), ("top-k", 20), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--job-only", action="store_true", help="time and memory of the job alone")
    parser.add_argument("--index", choices=["exact", "hnsw", "ivf_pq"], default="exact")
    arguments = parser.parse_args()
    seen = _seen(arguments.users, arguments.items)
    dot, weights = _dot(arguments.users, arguments.items, arguments.dim), _weights(arguments.items, seen)
    scorers: dict[str, Callable[[], Scorer]] = {
        "dot": lambda: dot,
        "item_item": lambda: weights,
        "sum": lambda: SumScorer([dot, weights], [1.0, 1.0]),
    }
    scorer = scorers[arguments.kind]()
    with tempfile.TemporaryDirectory() as folder:
        bundle, run = Path(folder) / "bundle", iter(range(100))
        save_bundle(
            bundle,
            scorer,
            user_ids=[f"u{i}" for i in range(arguments.users)],
            item_ids=[f"i{i}" for i in range(arguments.items)],
            seen=seen,
            manifest={"model": arguments.kind},
        )
        options = ScoringConfig(top_k=arguments.top_k, index=arguments.index)
        made: list[dict[str, Any]] = []
        timed: dict[str, Callable[[], object]] = {
            "scoring job": lambda: made.append(run_job(bundle, Path(folder) / f"scores{next(run)}", options))
        }
        if not arguments.job_only:
            timed |= _beside(arguments.kind, dot, weights, seen, arguments.top_k)
            timed["of which loading the bundle"] = lambda: load_bundle(bundle)
        seconds = {name: float("inf") for name in timed}
        for _ in range(arguments.rounds):
            for name, call in timed.items():
                start = time.perf_counter()
                call()
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    rates = {name: round(arguments.users / spent) for name, spent in seconds.items() if "bundle" not in name}
    told: dict[str, Any] = {"threads": torch.get_num_threads(), "users_per_second": rates, "seconds": seconds}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    if arguments.index != "exact":
        told["index_recall"] = made[0]["options"]["index_recall"]
    print(json.dumps({**vars(arguments), **told, "peak_gb": round(peak, 2)}, indent=2))


def _dot(users: int, items: int, dim: int) -> DotScorer:
    """Vectors around `TASTES` common centres, as learned ones are; an index finds little among those of noise."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((TASTES, dim), dtype=np.float32)

    def vectors(count: int) -> torch.Tensor:
        own = rng.standard_normal((count, dim), dtype=np.float32)
        return torch.from_numpy(centres[rng.integers(0, TASTES, count)] + 0.7 * own)

    return DotScorer(vectors(users), vectors(items))


def _seen(users: int, items: int) -> sp.csr_matrix:
    """`HISTORY` interactions of each user, those of the same item counted once."""
    columns = np.random.default_rng(1).integers(0, items, users * HISTORY)
    pairs = sp.csr_matrix((np.ones(len(columns), np.float32), columns, np.arange(0, len(columns) + 1, HISTORY)))
    pairs.resize(users, items)
    pairs.sum_duplicates()
    pairs.data[:] = 1
    return pairs


def _weights(items: int, history: sp.csr_matrix) -> ItemItemScorer:
    rng = np.random.default_rng(2)
    columns, values = rng.integers(0, items, items * WEIGHTS), rng.random(items * WEIGHTS, dtype=np.float32)
    weights = sp.csr_matrix((values, columns, np.arange(0, len(columns) + 1, WEIGHTS)), (items, items))
    weights.sum_duplicates()
    return ItemItemScorer(history, weights)


def _beside(
    kind: str, dot: DotScorer, weights: ItemItemScorer, seen: sp.csr_matrix, k: int
) -> dict[str, Callable[[], object]]:
    """What the job is held against."""
    users, items = dot.user_vectors, dot.item_vectors
    if kind == "item_item":
        return {"products": lambda: _each(weights.num_users, weights.num_items, weights.scores)}
    if kind == "sum":
        return {"products": lambda: _each(len(users), len(items), lambda own: (dot.scores(own), weights.scores(own)))}
    found: dict[str, Callable[[], object]] = {
        "product": lambda: _each(len(users), len(items), dot.scores),
        "product, array reused": lambda: _reused(users, items),
        "product, mask, torch.topk": lambda: _each(len(users), len(items), lambda own: _full_sort(dot, own, seen, k)),
    }
    try:
        from implicit.cpu.topk import topk
    except ImportError:
        return found
    return found | {"implicit": lambda: topk(items.numpy(), users.numpy(), k, filter_query_items=seen, num_threads=1)}


def _each(users: int, items: int, step: Callable[[torch.Tensor], object]) -> None:
    for _, block in user_blocks(torch.arange(users), items):
        step(block)


def _reused(users: torch.Tensor, items: torch.Tensor) -> None:
    scores = torch.empty(256, len(items))
    for start in range(0, len(users), len(scores)):
        block = users[start : start + len(scores)]
        torch.mm(block, items.T, out=scores[: len(block)])


def _full_sort(dot: DotScorer, users: torch.Tensor, seen: sp.csr_matrix, k: int) -> object:
    scores = dot.scores(users)
    scores[row_pairs(seen, users)] = -torch.inf
    return scores.topk(k, dim=1)


if __name__ == "__main__":
    main()
