"""Attributes of items beside a model: as they were, and nothing that was made to harm."""

import hashlib
import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import sparse as sp

from gnn.bundle.attributes import ATTRIBUTES, read_attributes
from gnn.bundle.bundle import save_bundle
from gnn.bundle.export import export_bundle
from gnn.errors import BundleError
from gnn.scorers.base import DotScorer

TABLE = pa.table(
    {"price": [1.5, None, 2.0], "类别": ["lamp", "lamp", None], "left": [3, 0, 1], "new": [True, None, False]}
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    scorer = DotScorer(torch.ones(2, 2), torch.ones(3, 2))
    ids = {"user_ids": ["a", "b"], "item_ids": ["x", "y", "z"], "seen": sp.csr_matrix((2, 3)), "manifest": {}}
    save_bundle(tmp_path / "bundle", scorer, **ids, attributes=TABLE)
    return tmp_path / "bundle"


def replaced(bundle: Path, table: pa.Table, **how: str) -> Path:
    """The bundle with another table, its hash in order."""
    pq.write_table(table, bundle / ATTRIBUTES, **how)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][ATTRIBUTES] = hashlib.sha256((bundle / ATTRIBUTES).read_bytes()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return bundle


def test_they_come_back_as_they_were_and_travel_with_an_export(bundle: Path) -> None:
    export_bundle(bundle, bundle.parent / "copy")
    for folder in (bundle, bundle.parent / "copy"):
        assert read_attributes(folder, 3).equals(pl.DataFrame(TABLE))


def test_a_bundle_without_any_has_no_columns(tmp_path: Path, bundle: Path) -> None:
    scorer = DotScorer(torch.ones(1, 2), torch.ones(3, 2))
    ids = {"user_ids": ["a"], "item_ids": ["x", "y", "z"], "seen": sp.csr_matrix((1, 3)), "manifest": {}}
    save_bundle(tmp_path / "plain", scorer, **ids, attributes=pa.table({}))
    assert read_attributes(tmp_path / "plain", 3).shape == (3, 0)


@pytest.mark.parametrize(
    ("table", "how", "told"),
    [
        (pa.table({"price": [1.0]}), {}, "has 1 rows in .* bytes, the model 3"),
        (pa.table({"price": [1.0] * 3}), {"compression": "gzip"}, "compressed by GZIP"),
        (pa.table({"lists": [[1], [2], [3]]}), {}, "is list"),
        (pa.table({"when": pa.array([1, 2, 3], pa.date32())}), {}, "is date32"),
    ],
)
def test_what_does_not_fit_is_one_line(bundle: Path, table: pa.Table, how: dict[str, str], told: str) -> None:
    with pytest.raises(BundleError, match=told) as raised:
        read_attributes(replaced(bundle, table, **how), 3)
    assert "\n" not in str(raised.value)


def test_little_that_says_much_is_not_unpacked(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnn.bundle.attributes._MOST_TEXT", 2000)
    with pytest.raises(BundleError, match="unpacks to 3000 bytes"):
        read_attributes(replaced(bundle, pa.table({"text": ["x" * 1000] * 3})), 3)


def test_altered_bytes_are_refused(bundle: Path) -> None:
    content = bytearray((bundle / ATTRIBUTES).read_bytes())
    content[60] ^= 1
    (bundle / ATTRIBUTES).write_bytes(bytes(content))
    with pytest.raises(BundleError, match="does not match its hash"):
        read_attributes(bundle, 3)
