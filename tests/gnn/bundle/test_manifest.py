"""The manifest as a contract: its published schema is that of the code, and earlier versions are read."""

import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.bundle import manifest as module
from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.bundle.export import export_bundle
from gnn.bundle.manifest import manifest_schema
from gnn.bundle.worked_example import SCORERS
from gnn.errors import BundleError
from gnn.scorers.base import DotScorer, ItemItemScorer, SumScorer

SCHEMA = Path(__file__).parents[3] / "docs" / "manifest.schema.json"
HISTORY = sp.csr_matrix(np.eye(3, dtype=np.float32))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    dot = DotScorer(torch.ones(3, 2), torch.ones(3, 2))
    inner = SumScorer([dot, ItemItemScorer(HISTORY, HISTORY)], [1, 2], normalise="rank")
    scorer = SumScorer([inner, ItemItemScorer(HISTORY, torch.eye(3))], [0.5, 0.5])
    ids = {"user_ids": list("abc"), "item_ids": list("xyz")}
    save_bundle(tmp_path / "trained", scorer, **ids, seen=HISTORY, manifest={"model": "m", "seed": 1, "split": "valid"})
    return tmp_path / "trained"


def test_the_published_schema_is_that_of_the_code() -> None:
    text = json.dumps(manifest_schema(), indent=2) + "\n"
    assert SCHEMA.read_text(encoding="utf-8") == text, (
        "write it anew: python -c 'import json; from gnn.bundle.manifest import manifest_schema as s; "
        "print(json.dumps(s(), indent=2))' > docs/manifest.schema.json"
    )


def test_what_is_written_is_what_the_schema_says(bundle: Path, tmp_path: Path) -> None:
    export_bundle(bundle, tmp_path / "out", onnx=True, precision="int8")
    for folder in (bundle, tmp_path / "out"):
        manifest = json.loads((folder / "manifest.json").read_text())
        jsonschema.Draft202012Validator(manifest_schema()).validate(manifest)
        assert manifest["format_version"] == "1.1"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest | {"users": -1}, manifest_schema())


def test_each_kind_of_scorer_is_described() -> None:
    assert set(module._KINDS) == set(SCORERS)
    assert len(get_args(get_args(module.Structure)[0])) == len(SCORERS) + 1, "and a later version's"


@pytest.mark.parametrize("version", [1, "1.0", "1.1"])
def test_earlier_minor_versions_are_read(bundle: Path, version: Any) -> None:
    _change(bundle, format_version=version)
    assert load_bundle(bundle).user_ids == ["a", "b", "c"]


@pytest.mark.parametrize("version", ["1.2", "2.0", 2, 0, "0.9", None, True, "1", "", "1.x", "-1.0", [1], 1.1])
def test_other_versions_are_refused(bundle: Path, version: Any) -> None:
    _change(bundle, format_version=version)
    with pytest.raises(BundleError, match="bundle format"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"users": "3"}, "'users'"),
        ({"files": {"x": "abc"}}, r"'files\.x'"),
        ({"scorer": {"kind": "sum", "weights": [1], "normalise": "z", "parts": []}}, r"'scorer\.sum\.normalise"),
        ({"scorer": {"kind": "trees"}}, "scorer kind 'trees' is unknown"),
        ({"scorer": 3}, "'scorer"),
        ({"onnx": "users"}, "'onnx'"),
    ],
)
def test_what_does_not_fit_is_named(bundle: Path, change: dict[str, Any], told: str) -> None:
    _change(bundle, **change)
    with pytest.raises(BundleError, match=told):
        load_bundle(bundle)


def test_numbers_that_are_none_are_not_saved(tmp_path: Path) -> None:
    scorer = DotScorer(torch.tensor([[float("nan")]]), torch.ones(1, 1))
    with pytest.raises(BundleError, match="user_vectors hold NaN or infinite numbers; lower"):
        save_bundle(tmp_path / "b", scorer, user_ids=["a"], item_ids=["x"], seen=sp.csr_matrix((1, 1)), manifest={})
    assert not list(tmp_path.iterdir())


def _change(bundle: Path, **change: Any) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | change))
