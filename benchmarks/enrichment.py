"""How near `enrich` comes to what a server gives a bare client, and whether a killed run ends in the same graph.

    python -m benchmarks.enrichment --items 1000 --concurrency 16 --latency 0.2

A scripted model stands behind a real HTTP server in a process of its own; it answers after `--latency` seconds, as a
language model would after thinking. The bare client sends the very same requests through the same HTTP library, as many
at once, and reads nothing of the replies.
"""

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import yaml
from PIL import Image

from tests.chat_server import Asked, ChatServer

RECIPES = ("generated-facts", "generated-texts")
MATERIALS = ("wood", "brass", "paper", "glass", "linen")


def model(asked: Asked) -> object:
    if asked.task == "captions":
        return {"caption": f"{asked.record['title']}, as the picture shows it"}
    text = " ".join(asked.record.get("texts", []))
    return {"material": [{"value": m, "evidence": m} for m in MATERIALS if m in text]}


def serve(latency: float, port: "multiprocessing.Queue[int]", seen: "multiprocessing.Queue[list]") -> None:
    server = ChatServer(model, pause=latency)
    port.put(server.server_port)
    while True:
        time.sleep(0.2)
        if not seen.empty():
            seen.get()
            seen.put([body for _, _, body in server.asked])
            time.sleep(1)


def write(folder: Path, items: int) -> None:
    """Every fourth item has a picture and no text."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    ids = [f"i{n}" for n in range(items)]
    pl.DataFrame({"item_id": ids, "title": [f"Thing {n}" for n in range(items)]}).write_csv(folder / "items.csv")
    media = []
    for n, item in enumerate(ids):
        if n % 4:
            text = f"Number {n}, made of {MATERIALS[n % 5]}, for long evenings with friends and a good book."
            media.append({"item_id": item, "modality": "text", "uri": None, "content": text})
        else:
            Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / f"{n}.png")
            media.append({"item_id": item, "modality": "image", "uri": f"{n}.png", "content": None})
    pl.DataFrame(media, schema_overrides={"uri": pl.String, "content": pl.String}).write_csv(folder / "media.csv")
    pairs = [(f"u{u}", ids[int(i)]) for u in range(200) for i in rng.choice(items, 10, replace=False)]
    pl.DataFrame(pairs, schema=["user_id", "item_id"], orient="row").write_csv(folder / "interactions.csv")


def config(folder: Path, address: str, concurrency: int, name: str) -> Path:
    settings = {
        "source": {"path": str(folder / "data")},
        "workspace": str(folder / name),
        "encoders": {"text": "lexical", "image": None},
        "language_model": {"address": address, "model": "scripted", "concurrency": concurrency},
        "enrich": {"captions": {}, "triples": {"relations": {"material": {"meaning": "made of"}}}},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "modalweave", *map(str, arguments)]


def run(*arguments: str | Path) -> dict:
    done = subprocess.run(command(*arguments, "--json"), check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def bare(address: str, bodies: list[dict], concurrency: int) -> float:
    """Seconds that the server takes for these requests from a client that does nothing else."""
    limits = httpx.Limits(max_connections=concurrency)
    with httpx.Client(timeout=60, limits=limits, trust_env=False) as client, ThreadPoolExecutor(concurrency) as pool:
        started = time.perf_counter()
        list(pool.map(lambda body: client.post(f"{address}/chat/completions", json=body).raise_for_status(), bodies))
        return time.perf_counter() - started


def killed_and_resumed(folder: Path, address: str, concurrency: int, asked: int) -> bool:
    """A build that is killed a third of the way, three times, and then let go on, beside one that was left alone."""
    path = config(folder, address, concurrency, "killed")
    cache = folder / "killed" / "enrichment" / "replies.sqlite"
    for third in (1, 2, 3):
        process = subprocess.Popen(command("enrich", path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and replies(cache) < asked * third // 4:
            time.sleep(0.05)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    run("build", path)
    run("build", folder / "whole.yaml")
    tables = {name: [rows(folder, name, recipe) for recipe in RECIPES] for name in ("killed", "whole")}
    print(f"generated: {' and '.join(f'{len(table):,}' for table in tables['whole'])} facts and texts")
    return tables["killed"] == tables["whole"]


def rows(folder: Path, name: str, recipe: str) -> list[dict]:
    most = ("--param", "limit:=100000", "--limit", "100000")
    return run("cypher", "--name", recipe, folder / f"{name}.yaml", *most)["rows"]


def replies(cache: Path) -> int:
    import sqlite3

    if not cache.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{cache}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT count(*) FROM replies").fetchone()[0]
    except sqlite3.Error:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds the scripted model thinks")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    port, seen = context.Queue(), context.Queue()
    server = context.Process(target=serve, args=(options.latency, port, seen), daemon=True)
    server.start()
    address = f"http://127.0.0.1:{port.get()}/v1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "data", options.items)
        found = run("enrich", config(folder, address, options.concurrency, "whole"))
        seconds = found["seconds"]["enrich"]
        seen.put([])
        time.sleep(0.5)
        bodies = seen.get()
        alone = bare(address, bodies, options.concurrency)
        ideal = len(bodies) * options.latency / options.concurrency
        print(f"{found['asked']:,} questions, {options.concurrency} at once, a model that thinks {options.latency:g} s")
        print(
            f"enrich {seconds:.2f} s, bare client {alone:.2f} s: {alone / seconds:.0%} of its throughput; "
            f"no client can take less than {ideal:.2f} s"
        )
        equal = killed_and_resumed(folder, address, options.concurrency, found["asked"])
        print(f"killed three times and resumed: {'the same graph' if equal else 'ANOTHER GRAPH'}")
    server.kill()


if __name__ == "__main__":
    main()
