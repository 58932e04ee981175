"""An encoder, a source and a store that an installed package brings, used by a config and a command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modalweave.config import parse_config
from modalweave.errors import ConfigError

ROOT = Path(__file__).parents[2]
PACKAGE = '''
"""A package of somebody else: words counted by length, a catalogue in one text file, a store that says its address."""

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from common.vectors import unit_rows
from encoders.base import EncoderBase, make_fingerprint
from encoders.text import TextPreparer
from etl.tables import INTERACTIONS, MEDIA, Tables
from graph.ladybug.store import LadybugStore


class Config(BaseModel, extra="forbid"):
    """Settings of the `lengths` encoder."""

    dim: int = 4


class Lengths(EncoderBase):
    name, modalities, batch = "lengths", ("text",), 8

    def __init__(self, config):
        self.dim, self.fingerprint = config.dim, make_fingerprint("lengths", dim=config.dim)

    def preparer(self, modality):
        return TextPreparer()

    def encode(self, batch, modality="text"):
        lengths = [[len(str(text)) % (n + 2) + 1 for n in range(self.dim)] for text in batch]
        return unit_rows(np.array(lengths, dtype=np.float32).reshape(-1, self.dim))


def build(config, device):
    return Lengths(config)


def read(config):
    pairs = [line.split() for line in (config.path / "log.txt").read_text().splitlines()]
    rows = [{"user_id": user, "item_id": item} for user, item in pairs]
    items = sorted({item for _, item in pairs})
    media = [{"item_id": item, "modality": "text", "content": "word " * len(item)} for item in items]
    interactions = pa.Table.from_pylist(rows, INTERACTIONS)
    return Tables(interactions=interactions, media=pa.Table.from_pylist(media, MEDIA), root=config.path)


def open_shelf(address, options):
    store = LadybugStore(address.removeprefix("shelf:"), read_only=options.read_only)
    store.address = address
    return store
'''
POINTS = """[modalweave.encoders]
lengths = outsider
[modalweave.sources]
log = outsider:read
[modalweave.stores]
shelf = outsider:open_shelf
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path that holds the package as pip leaves it."""
    site = tmp_path / "site"
    info = site / "outsider-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "outsider.py").write_text(PACKAGE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outsider\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(site))
    return site


def _modalweave(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    code = "from modalweave.cli import main; main()"
    path = os.pathsep.join([str(ROOT), str(site)])
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_all_three_build_and_answer(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("".join(f"u{n % 5} {'i' * (n % 7 + 1)}\n" for n in range(35)))
    config = tmp_path / "run.yaml"
    config.write_text(
        f"source: {{format: log, path: {tmp_path}}}\nworkspace: {tmp_path / 'run'}\nstore: shelf:{tmp_path / 'graph'}\n"
        "encoders: {text: {name: lengths, dim: 3}}\n"
    )
    built = _modalweave(installed, "build", config)
    assert built.returncode == 0, built.stderr
    query = "MATCH (i:Item)-[:HAS_TEXT]->(t:Text) RETURN count(t.id) AS n, min(size(t.embedding)) AS d"
    asked = _modalweave(installed, "cypher", query, config, "--json")
    assert '"rows": [{"n": 7, "d": 3}]' in asked.stdout, asked.stderr


def test_their_names_and_settings_are_checked_like_our_own(installed: Path) -> None:
    source = {"format": "log", "path": "x"}
    assert parse_config({"source": source, "encoders": {"text": "lengths"}}).encoders["text"] == "lengths"
    with pytest.raises(ConfigError, match=r"encoder lengths: dims: no such setting; did you mean 'dim'"):
        parse_config({"source": source, "encoders": {"text": {"name": "lengths", "dims": 3}}})
    with pytest.raises(ConfigError, match=r"source\.format: source format 'logs' is unknown; did you mean 'log'"):
        parse_config({"source": {"format": "logs", "path": "x"}})
