"""A small catalogue whose pictures carry the taste, and the command line run in this process."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

USERS, ITEMS, GROUPS = 60, 40, 4


class Outcome(NamedTuple):
    """What a command left: its exit code and both streams."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def modalweave(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `modalweave ARGS` as the console script does."""
    from modalweave.cli.app import main

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["modalweave", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        streams = capsys.readouterr()
        return Outcome(code, streams.out, streams.err)

    return run


def write_dataset(folder: Path) -> Path:
    """Users like one of four groups of items; picture vectors tell the group; two items are known by picture only."""
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    group = np.arange(ITEMS) % GROUPS
    rows = []
    for user in range(USERS):
        liked = np.flatnonzero(group[: ITEMS - 2] == user % GROUPS)
        for at, item in enumerate(rng.permutation(liked)[:7]):
            rows.append((f"u{user:02d}", f"i{item:02d}", 1_000_000 + at * 1000 + user))
    names = ["user_id", "item_id", "timestamp"]
    pq.write_table(
        pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))), folder / "interactions.parquet"
    )
    ids = [f"i{n:02d}" for n in range(ITEMS)]
    pq.write_table(pa.table({"item_id": ids, "title": [f"Item {n}" for n in range(ITEMS)]}), folder / "items.parquet")
    vectors = np.eye(GROUPS, 8)[group] + rng.normal(0, 0.05, (ITEMS, 8))
    vector = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), 8)
    (folder / "embeddings").mkdir(exist_ok=True)
    pq.write_table(pa.table({"item_id": ids, "vector": vector}), folder / "embeddings" / "image.parquet")
    makers = [{"head_id": i, "relation": "made_by", "tail_id": f"m{g}"} for i, g in zip(ids, group, strict=True)]
    pq.write_table(pa.Table.from_pylist(makers), folder / "triples.parquet")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config over the small catalogue, with a model that fits in a blink."""
    write_dataset(tmp_path / "data")
    path = tmp_path / "run.yaml"
    path.write_text(
        f"name: small\nsource: {{format: folder, path: {tmp_path / 'data'}}}\nworkspace: {tmp_path / 'run'}\n"
        "split: {strategy: leave_last_out}\nevaluation: {k: [5, 10], resamples: 50}\ngnn: {model: ease}\n",
        encoding="utf-8",
    )
    return path
