"""Builds from raw media, as real processes: broken files, a kill in the middle, URLs, the cache's own command."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from PIL import Image

from encoders.cache import CacheStats, EmbeddingCache
from graph.schema import MEDIA_LABELS, EdgeType
from tests.tiny_checkpoints import TINY

ROOM = Path(__file__).parents[3]
# The command line, with a cache that writes a part every 200 vectors or so, so that a build can be killed between two.
CODE = "from encoders import cache; cache._FLUSH_BYTES = 120_000; from modalweave.cli import main; main()"
COMMAND = (sys.executable, "-c", CODE, "build")
ITEMS = 1100


def sound(n: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.random.default_rng(n).normal(0, 0.1, 800).astype(np.float32), 8000, format="WAV")
    return buffer.getvalue()


def picture(n: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(n).integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def broken(n: int) -> bytes:
    """Ten kinds of broken, each a little different."""
    good, tail = sound(n), bytes([n]) * 40
    nan = io.BytesIO()
    soundfile.write(nan, np.full(50 + n, np.nan, np.float32), 8000, format="WAV", subtype="FLOAT")
    kinds = (
        b"",
        good[: 60 + n],
        b"not a sound %d" % n,
        b"RIFF\0\0\0\0WAVE" + tail,
        b"OggS" + tail,
        b"fLaC" + tail,
        b"ID3\x03" + tail,
        b"\x89PNG\r\n\x1a\n" + tail,
        good[:36] + b"junk" + tail,
        nan.getvalue(),
    )
    return kinds[n % 10]


def write_sounds(folder: Path, items: int = ITEMS) -> list[str]:
    """A dataset folder of sounds, every eleventh broken; the broken items."""
    (folder / "sounds").mkdir(parents=True)
    ids = [f"i{n:04d}" for n in range(items)]
    bad = ids[5::11]
    for n, item in enumerate(ids):
        (folder / "sounds" / f"{item}.wav").write_bytes(broken(n // 11) if item in bad else sound(n))
    pq.write_table(pa.table({"user_id": ["u"] * 3, "item_id": ids[:3]}), folder / "interactions.parquet")
    pq.write_table(pa.table({"item_id": ids}), folder / "items.parquet")
    media = {"item_id": ids, "modality": ["audio"] * items, "uri": [f"sounds/{i}.wav" for i in ids]}
    pq.write_table(pa.table(media), folder / "media.parquet")
    return bad


def write_config(path: Path, data: Path, **source: Any) -> Path:
    settings = {"format": "folder", "path": str(data), **source}
    path.write_text(
        f"name: media\nsource: {settings}\nworkspace: {path.with_suffix('')}\nstore: ladybug\n"
        "encoders: {audio: {name: logmel, mels: 16}}\n",
        encoding="utf-8",
    )
    return path


def run_build(config: Path) -> subprocess.Popen[bytes]:
    """The command line in a process group of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOM), "OMP_NUM_THREADS": "1"}
    command = [*COMMAND, str(config)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    _, err = process.communicate(timeout=900)
    assert process.returncode == 0, err.decode()


def kill_once(there: Callable[[], bool], config: Path) -> None:
    """Start a build and kill -9 its whole process group as soon as `there` holds, before it ends."""
    process, deadline = run_build(config), time.monotonic() + 300
    while not there() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, err.decode()


def products(config: Path) -> tuple[list[dict[str, str]], pa.Table, str]:
    """The quarantine, every Audio node with its vector, and the hash of the whole graph."""
    from graph import open_store
    from graph.hetero import graph_hash, read_hetero

    workspace = config.with_suffix("")
    with open_store(f"ladybug:{workspace / 'graph'}", read_only=True) as store:
        columns = ["id", "uri", "duration", "sample_rate", "embedding", "encoder"]
        nodes = pa.Table.from_batches(store.read_nodes("Audio", columns))
        whole = graph_hash(read_hetero(store))
    return pq.read_table(workspace / "quarantine.parquet").to_pylist(), nodes.sort_by("id"), whole


def cached(config: Path) -> CacheStats:
    (stats,) = EmbeddingCache(config.with_suffix("") / "embeddings").stats()
    return stats


def test_the_broken_hundred_of_a_thousand_and_a_kill_in_the_middle(tmp_path: Path) -> None:
    bad = write_sounds(tmp_path / "data")
    assert len(bad) == 100
    whole, killed = (write_config(tmp_path / f"{name}.yaml", tmp_path / "data") for name in ("whole", "killed"))
    finish(run_build(whole))
    quarantine, nodes, graph = products(whole)
    assert sorted(row["item_id"] for row in quarantine) == bad
    assert all(row["reason"] and "\n" not in row["reason"] and row["modality"] == "audio" for row in quarantine)
    assert all(row["uri"] == f"sounds/{row['item_id']}.wav" for row in quarantine)
    assert len({row["reason"] for row in quarantine}) >= 7
    assert len(nodes) == ITEMS - 100
    workspace = killed.with_suffix("")
    kill_once(lambda: any(workspace.glob("embeddings/*/part-*.arrow")), killed)  # files are still decoded
    kept = cached(killed)
    assert 100 < kept.vectors + kept.refused < ITEMS
    assert not (workspace / "quarantine.parquet").exists()
    kill_once(lambda: any(workspace.glob("graph*")), killed)  # the graph is being filled
    assert not (workspace / "quarantine.parquet").exists()
    assert cached(killed).hits == kept.vectors + kept.refused  # the second went on where the first was killed
    finish(run_build(killed))
    assert cached(killed)[1:3] == cached(whole)[1:3] == (ITEMS - 100, 90)  # ten are empty: nothing to keep
    again, resumed, same = products(killed)
    assert again == quarantine
    assert resumed.equals(nodes)
    assert same == graph


def test_urls_of_listed_hosts_are_built_and_others_quarantined(tmp_path: Path, modalweave: Any) -> None:
    bad = write_sounds(tmp_path / "data", items=30)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "data" / "sounds"))
    handler.func.log_message = lambda *_: None  # type: ignore[method-assign]
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_address[1]}"
    media = pq.read_table(tmp_path / "data" / "media.parquet").to_pylist()
    for row in media:
        row["uri"] = f"http://{host if row['item_id'] != 'i0000' else 'other.example'}/{row['item_id']}.wav"
    pq.write_table(pa.Table.from_pylist(media), tmp_path / "data" / "media.parquet")
    config = write_config(tmp_path / "urls.yaml", tmp_path / "data", media_hosts=[host])
    result = modalweave("build", config, "--json").json()
    server.shutdown()
    server.server_close()
    assert result["nodes"]["Audio"] == 30 - len(bad) - 1
    quarantine, nodes, _ = products(config)
    reasons = {row["item_id"]: row["reason"] for row in quarantine}
    assert sorted(reasons) == sorted(["i0000", *bad])
    assert "other.example is not listed" in reasons["i0000"]
    assert all(uri.startswith(f"http://{host}/") for uri in nodes["uri"].to_pylist())
    again = modalweave("build", config, "--json").json()  # the server is gone: everything good lies here
    assert (again["written"], again["nodes"]) == (0, result["nodes"])


def test_a_host_that_is_none_is_a_line(tmp_path: Path, modalweave: Any) -> None:
    write_sounds(tmp_path / "data", items=11)
    config = write_config(tmp_path / "run.yaml", tmp_path / "data", media_hosts=["http://cdn.example/a"])
    outcome = modalweave("build", config)
    assert outcome.code == 1 and "is not a host" in outcome.err and outcome.err.count("\n") == 1


@pytest.mark.parametrize("prune", [True, False])
def test_the_cache_command_cleans_what_a_kill_left(tmp_path: Path, modalweave: Any, prune: bool) -> None:
    write_sounds(tmp_path / "data", items=22)
    config = write_config(tmp_path / "run.yaml", tmp_path / "data")
    assert modalweave("build", config).code == 0
    (folder,) = (tmp_path / "run" / "embeddings").iterdir()
    old, young = folder / f".tmp-{'0' * 32}", folder / f".tmp-{'1' * 32}"
    for path in (old, young):
        path.write_bytes(b"half a part")
    os.utime(old, (time.time() - 7200,) * 2)
    report = modalweave("cache", config, "--json", *(["--prune", 100] if prune else [])).json()
    assert old.exists() is not prune and young.exists()
    assert report["removed_bytes"] == (11 if prune else 0)
    assert report["encoders"][0]["vectors"] == 20
    emptied = modalweave("cache", config, "--json", "--prune", 0).json()
    assert emptied["encoders"][0]["vectors"] == 0 and young.exists()


@pytest.mark.parametrize(("encoder", "modality"), [("open_clip", "image"), ("clap", "audio"), ("endpoint", "image")])
def test_one_encoder_for_words_and_media_links_them_across(
    tmp_path: Path, modalweave: Any, encoder: str, modality: str
) -> None:
    import torch

    from graph import open_store

    torch.manual_seed(0)
    (tmp_path / "model").mkdir()
    spec = json.dumps(TINY[encoder](tmp_path / "model"))
    items = [f"i{n}" for n in range(6)]
    words = ["a small red frog", "loud rain", "house", "small house", "red rain", "loud frog"]
    data = tmp_path / "data"
    (data / "files").mkdir(parents=True)
    for n, item in enumerate(items):
        (data / "files" / item).write_bytes(picture(n) if modality == "image" else sound(n))
    rows = [{"item_id": i, "modality": "text", "content": w} for i, w in zip(items, words, strict=True)]
    rows += [{"item_id": i, "modality": modality, "uri": f"files/{i}"} for i in items]
    names = ("item_id", "modality", "uri", "content")
    pq.write_table(pa.Table.from_pylist([{n: row.get(n) for n in names} for row in rows]), data / "media.parquet")
    pq.write_table(pa.table({"user_id": ["u"], "item_id": ["i0"]}), data / "interactions.parquet")
    config = tmp_path / "run.yaml"
    config.write_text(
        f"name: across\nsource: {{path: {data}}}\nworkspace: {tmp_path / 'run'}\n"
        f"encoders: {{text: {spec}, {modality}: {spec}}}\nneighbours: {{k: 2, min_score: -1}}\n",
        encoding="utf-8",
    )
    outcome = modalweave("build", config, "--json")
    assert outcome.code == 0, outcome.err
    with open_store(f"ladybug:{tmp_path / 'run' / 'graph'}", read_only=True) as store:
        edge = EdgeType("Text", "SIMILAR", MEDIA_LABELS[modality])
        links = pa.Table.from_batches(store.read_relationships(edge, ["score", "encoder"])).to_pylist()
    assert 12 <= len(links) <= 24  # two from each side, some of them the same
    assert {link["encoder"].split("-")[0] for link in links} == {encoder}
    assert all(-1 <= link["score"] <= 1 for link in links)
