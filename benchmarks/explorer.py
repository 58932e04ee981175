"""How quick the explorer answers with a million choices behind it, how many at once, and what it holds in memory.

    python -m benchmarks.explorer OUT [--store bolt://localhost:7687] [--items 100000] [--users 50000]
        [--interactions 1000000] [--requests 10000]

Builds a synthetic catalogue into OUT (kept: a second call starts at once), puts a model of one dot product of 64
dimensions beside it, starts `modalweave serve` and asks it over HTTP. Prints one JSON object: milliseconds (median and
95th percentile of 200 requests, each for another item or user) of every page and question; seconds until the first
page; requests a second and errors with 50 readers at once; the server's resident memory after a tenth of `--requests`
and after all of them.
"""

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import scipy.sparse as sp
import torch

import modalweave as mw
from gnn.bundle.bundle import save_bundle
from gnn.scorers.base import DotScorer

DIM, VECTOR, GROUPS, READERS, EACH = 64, 64, 200, 50, 200


def main() -> None:
    """Build what is not there, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--store", default="ladybug")
    for name, default in (("items", 100_000), ("users", 50_000), ("interactions", 1_000_000), ("requests", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    config = prepare(asked.out, asked.store, asked.users, asked.items, asked.interactions)
    with served(config) as (client, server, first_page):
        rng = np.random.default_rng(1)
        items = [f"i{n}" for n in rng.integers(0, asked.items, asked.requests)]
        users = [f"u{n}" for n in rng.integers(0, asked.users, asked.requests)]
        result = {
            "interactions": asked.interactions,
            "items": asked.items,
            "users": asked.users,
            "store": asked.store.partition(":")[0],
            "first_page_s": first_page,
            "ms": {
                "overview": timed(client, iter(["/"] * 20)),
                "item page": timed(client, (f"/item?id={item}" for item in items)),
                "user page": timed(client, (f"/user?id={user}" for user in users)),
                "recommend": timed(client, (f"/api/recommend?user={user}&k=20" for user in users)),
                "similar by the model": timed(client, (f"/api/similar?item={item}" for item in items)),
                "similar by picture": timed(client, (f"/api/similar?item={item}&by=image" for item in items[:20])),
                "search by words": timed(client, (f"/search?q=Thing+{n}" for n in range(20))),
                "explain": timed(
                    client, (f"/api/explain?user={u}&item={i}" for u, i in zip(users, items, strict=True))
                ),
                "graph around an item": timed(client, (f"/api/graph?label=Item&id={item}" for item in items)),
            },
        }
        paths = [
            f"/item?id={i}" if n % 2 else f"/api/recommend?user={u}"
            for n, (i, u) in enumerate(zip(items, users, strict=True))
        ]
        tenth = asked.requests // 10
        crowd(client, paths[:tenth])
        before = resident(server)
        seconds, errors = crowd(client, paths[tenth:])
        result |= {
            "readers": READERS,
            "requests_per_s": round((asked.requests - tenth) / seconds, 1),
            "errors": errors,
            "mb_after": {str(tenth): before, str(asked.requests): resident(server)},
        }
    print(json.dumps(result, indent=1))


def prepare(out: Path, store: str, users: int, items: int, interactions: int) -> Path:
    """The config of a run whose graph is built and whose bundle is there."""
    config = out / "explorer.yaml"
    data = out / "data"
    run = mw.Run(
        {"name": "explorer", "source": {"format": "folder", "path": str(data)}, "workspace": str(out / "run")},
        store=store,
        **{"neighbours.k": 5},
    )
    if config.exists():
        return config
    rng = np.random.default_rng(0)
    (data / "embeddings").mkdir(parents=True, exist_ok=True)
    ids = [f"i{n}" for n in range(items)]
    picked = np.minimum(rng.zipf(1.3, interactions), items) - 1  # few items are in most histories
    pl.DataFrame(
        {
            "user_id": [f"u{n}" for n in rng.integers(0, users, interactions)],
            "item_id": [f"i{n}" for n in rng.permutation(items)[picked]],
            "timestamp": 1_700_000_000 + rng.integers(0, 50_000_000, interactions),
        }
    ).unique(["user_id", "item_id"]).write_parquet(data / "interactions.parquet")
    pl.DataFrame({"item_id": ids, "title": [f"Thing {n} of many" for n in range(items)]}).write_parquet(
        data / "items.parquet"
    )
    makers = {"head_id": ids, "relation": ["made_by"] * items, "tail_id": [f"m{n % 2000}" for n in range(items)]}
    pl.DataFrame(makers).write_parquet(data / "triples.parquet")
    centres = rng.normal(size=(GROUPS, VECTOR))
    vectors = (centres[rng.integers(0, GROUPS, items)] + rng.normal(size=(items, VECTOR))).astype(np.float32)
    pl.DataFrame({"item_id": ids, "vector": vectors}).write_parquet(data / "embeddings" / "image.parquet")
    run.build()
    choices = run.cypher("MATCH (u:User) RETURN u.id AS id ORDER BY id", limit=users)["id"].to_list()
    shape = (len(choices), items)
    pairs = pl.read_parquet(data / "interactions.parquet").join(
        pl.DataFrame({"user_id": choices}).with_row_index("user"), on="user_id"
    )
    places = (pairs["user"].to_numpy(), pairs["item_id"].str.slice(1).cast(pl.Int64).to_numpy())
    seen = sp.csr_matrix((np.ones(len(pairs), np.float32), places), shape)
    scorer = DotScorer(*(torch.randn(count, DIM, generator=torch.Generator().manual_seed(7)) for count in shape))
    titles = [f"Thing {n} of many" for n in range(items)]
    save_bundle(
        run.workspace.bundle,
        scorer,
        user_ids=choices,
        item_ids=ids,
        seen=seen,
        titles=titles,
        manifest={"model": "dot"},
    )
    from modalweave.config import dump_config

    config.write_text(dump_config(run.config), encoding="utf-8")
    return config


@contextmanager
def served(config: Path) -> Iterator[tuple[httpx.Client, "subprocess.Popen[bytes]", float]]:
    """A client of the running server, its process, and the seconds until its first page."""
    port = 8437
    started = time.perf_counter()
    command = [sys.executable, "-m", "modalweave", "serve", str(config), "--port", str(port)]
    with (
        subprocess.Popen(command, stderr=subprocess.DEVNULL) as server,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=60, limits=httpx.Limits(max_connections=READERS)
        ) as client,
    ):
        try:
            while True:
                try:
                    client.get("/").raise_for_status()
                    break
                except httpx.ConnectError:
                    time.sleep(0.02)
            yield client, server, round(time.perf_counter() - started, 2)
        finally:
            server.terminate()


def timed(client: httpx.Client, paths: Iterator[str]) -> dict[str, float]:
    """Milliseconds of requests, one after another; the first, which loads what the others need, is told apart."""
    taken = []
    for path in itertools.islice(paths, EACH + 1):
        started = time.perf_counter()
        client.get(path).raise_for_status()
        taken.append(1000 * (time.perf_counter() - started))
    median, high = np.percentile(taken[1:], [50, 95])
    return {"first": round(taken[0], 1), "median": round(float(median), 1), "p95": round(float(high), 1)}


def crowd(client: httpx.Client, paths: list[str]) -> tuple[float, int]:
    """Seconds of all requests with many readers at once, and how many were not answered."""

    def ask(path: str) -> bool:
        try:
            return client.get(path).status_code == 200
        except httpx.HTTPError:
            return False

    started = time.perf_counter()
    with ThreadPoolExecutor(READERS) as readers:
        answered = sum(readers.map(ask, paths))
    return time.perf_counter() - started, len(paths) - answered


def resident(server: "subprocess.Popen[bytes]") -> int:
    """Megabytes that the server holds."""
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * 4096 >> 20


if __name__ == "__main__":
    main()
