"""Throughput of the batch job beside the arithmetic it cannot do without.

    python -m benchmarks.scoring [--users 4000] [--items 100000] [--dim 64] [--top-k 20]

Prints one JSON object: users per second of the whole job (bundle verified, seen items masked, ties broken, Parquet
written and hashed), of `torch.topk` after the matrix product, and of the bare product; same vectors, same blocks.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch

from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.scorers.base import DotScorer
from gnn.scorers.ranking import user_blocks
from scoring.config import ScoringConfig
from scoring.job import run_job


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("users", 4000), ("items", 100_000), ("dim", 64), ("top-k", 20), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    users, items = (
        torch.from_numpy(rng.normal(size=(count, arguments.dim)).astype(np.float32))
        for count in (arguments.users, arguments.items)
    )
    with tempfile.TemporaryDirectory() as folder:
        bundle, run = Path(folder) / "bundle", iter(range(100))
        save_bundle(
            bundle,
            DotScorer(users, items),
            user_ids=[f"u{i}" for i in range(len(users))],
            item_ids=[f"i{i}" for i in range(len(items))],
            seen=sp.random(len(users), len(items), density=20 / len(items), format="csr", dtype=np.float32, rng=0),
            manifest={"model": "dot"},
        )
        options = ScoringConfig(top_k=arguments.top_k, shard_size=2000)
        timed: dict[str, Callable[[], object]] = {
            "matrix product": lambda: _blocks(users, items, lambda scores: scores),
            "matrix product + torch.topk": lambda: _blocks(users, items, lambda s: s.topk(arguments.top_k, dim=1)),
            "scoring job": lambda: run_job(bundle, Path(folder) / f"scores{next(run)}", options),
            "of which loading the bundle": lambda: load_bundle(bundle),
        }
        # Rounds interleave, so that other load on the machine hits all alike; the best of each counts.
        seconds = {name: float("inf") for name in timed}
        for _ in range(arguments.rounds):
            for name, call in timed.items():
                start = time.perf_counter()
                call()
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    rates = {name: round(len(users) / spent) for name, spent in seconds.items() if "bundle" not in name}
    threads = torch.get_num_threads()
    print(json.dumps({**vars(arguments), "threads": threads, "users_per_second": rates, "seconds": seconds}, indent=2))


def _blocks(users: torch.Tensor, items: torch.Tensor, step: Callable[[torch.Tensor], object]) -> None:
    for _, block in user_blocks(torch.arange(len(users)), len(items)):
        step(users[block] @ items.T)


if __name__ == "__main__":
    main()
