"""Ten million events of an experiment: how long `ab analyse` takes and how much memory.

    python -m benchmarks.events [--events 10000000] [--users 500000] [--form parquet] [--out runs/events]

Half of the clicks are older than the experiment (for CUPED); five metrics, three countries, 28 days.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

DESIGN = """
name: size
variants: {text: 1, multimodal: 1}
control: text
start: 2026-03-02
segments: [country]
planned_users: 500000
metrics:
  clicked: {kind: rate, event: click}
  clicks: {event: click}
  spent: {event: purchase, value: true}
  ctr: {kind: ratio, event: click, per: view}
  returns: {event: return, better: lower, guardrail: 0.05}
"""
START = datetime(2026, 3, 2)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=500_000)
    parser.add_argument("--form", choices=("parquet", "csv"), default="parquet")
    parser.add_argument("--out", type=Path, default=Path("runs/events"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    events, design = args.out / f"events.{args.form}", args.out / "design.yaml"
    design.write_text(DESIGN, encoding="utf-8")
    # in a process of its own, so that its memory is not counted
    drawing = multiprocessing.get_context("spawn").Process(target=write, args=(events, args.events, args.users))
    drawing.start()
    drawing.join()
    started = time.perf_counter()
    page = args.out / "size.html"
    command = [sys.executable, "-m", "modalweave", "ab", "analyse", str(events), "--design", str(design), "--json"]
    told_in = args.out / "found.json"
    with told_in.open("w") as out, subprocess.Popen([*command, "--out", str(page)], stdout=out) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds, peak = time.perf_counter() - started, used.ru_maxrss / 2**20
    found = json.loads(told_in.read_text())["analysis"]
    told = {"events": args.events, "users": sum(found["users"].values()), "bytes": events.stat().st_size}
    print(json.dumps({**told, "form": args.form, "seconds": round(seconds, 1), "peak_gib": round(peak, 2)}))


def write(path: Path, events: int, users: int) -> None:
    """The log as a file."""
    table = drawn(events, users)
    table.write_parquet(path) if path.suffix == ".parquet" else table.write_csv(path)


def drawn(events: int, users: int, seed: int = 0) -> pl.DataFrame:
    """Users with tastes; events in order of time, as a log is."""
    rng = np.random.default_rng(seed)
    taste = rng.gamma(1, 1, users)
    came = rng.uniform(0, 25, users)
    rest = rng.choice(users, events - users, p=taste / taste.sum()).astype(np.int32)
    names = np.array(["click", "view", "purchase", "return", "exposure"])
    kind = rng.choice(4, len(rest), p=[0.4, 0.5, 0.08, 0.02]).astype(np.int8)
    old = (kind == 0) & (rng.random(len(rest)) < 0.5)
    day = np.where(old, rng.uniform(-14, 0, len(rest)), came[rest] + rng.random(len(rest)) * (28 - came[rest]))
    user, kind = np.concatenate([np.arange(users, dtype=np.int32), rest]), np.concatenate([np.full(users, 4), kind])
    day = np.concatenate([came, day])
    frame = pl.DataFrame({"user": user, "day": day, "kind": kind, "value": rng.lognormal(1, 1, len(user))})
    frame = frame.sort("day")
    return frame.select(
        pl.format("user-{}", "user").alias("user_id"),
        pl.lit(pl.Series(["text", "multimodal"])).gather(pl.col("user") % 2).alias("variant"),
        pl.lit(pl.Series(["de", "fr", "cn"])).gather(pl.col("user") % 3).alias("country"),
        (pl.lit(START) + pl.duration(microseconds=pl.col("day") * 86_400e6)).alias("timestamp"),
        pl.lit(pl.Series(names)).gather(pl.col("kind")).alias("event"),
        pl.col("value").round(2),
    )


if __name__ == "__main__":
    main()
