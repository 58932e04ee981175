"""Bundles: what is saved comes back, and whatever was altered, added or taken away is refused in one line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnn.bundle import bundle as module
from gnn.bundle import manifest as manifest_module
from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.bundle.export import export_bundle
from gnn.bundle.quantised import PRECISIONS
from gnn.bundle.tensors import csr_from_tensors, csr_to_tensors, scorer_from_tensors
from gnn.errors import BundleError, GnnError
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer

USERS, ITEMS = 6, 5


def _parts() -> dict[str, Scorer]:
    generator = np.random.default_rng(1)
    history = sp.csr_matrix((generator.random((USERS, ITEMS)) < 0.5).astype(np.float32))
    weights = generator.standard_normal((ITEMS, ITEMS)).astype(np.float32)
    dot = DotScorer(torch.randn(USERS, 3, generator=torch.manual_seed(0)), torch.randn(ITEMS, 3))
    dense = ItemItemScorer(history, torch.from_numpy(weights))
    sparse = ItemItemScorer(history, sp.csr_matrix(weights * (weights > 0)))
    nested = SumScorer([dot, SumScorer([dense, sparse], [1.0, 0.5], normalise=False)], [0.7, 0.3])
    ranks = SumScorer([dot, dense], [0.7, 0.3], normalise="rank")
    return {"dot": dot, "dense": dense, "sparse": sparse, "sum": nested, "ranks": ranks}


PARTS = _parts()
SEEN = sp.csr_matrix(np.eye(USERS, ITEMS, dtype=np.float32))


def _save(path: Path, scorer: Scorer = PARTS["sum"], **manifest: object) -> str:
    ids = [f"ü{n}" for n in range(USERS)], [f"i{n}" for n in range(ITEMS)]
    facts = {"model": "test", "metrics": {"recall@20": {"mean": 0.25, "ci95": [0.2, 0.3]}}, **manifest}
    history = PARTS["dense"].history
    return save_bundle(path, scorer, user_ids=ids[0], item_ids=ids[1], seen=SEEN, history=history, manifest=facts)


@pytest.mark.parametrize("name", list(PARTS))
def test_what_is_saved_comes_back(tmp_path: Path, name: str) -> None:
    digest = _save(tmp_path / "bundle", PARTS[name], seed=3)
    found = load_bundle(tmp_path / "bundle")
    users = torch.arange(USERS)
    assert torch.equal(found.scorer.scores(users), PARTS[name].scores(users))
    assert found.hash == digest
    assert found.user_ids[1] == "ü1"
    assert found.item_ids == [f"i{n}" for n in range(ITEMS)]
    assert (found.seen != SEEN).nnz == 0
    assert found.manifest["seed"] == 3
    assert "recall@20 | 0.2500 | 0.2000 to 0.3000" in (tmp_path / "bundle" / "README.md").read_text()


def test_titles_come_back_where_there_are_any(tmp_path: Path) -> None:
    ids = {"user_ids": [f"u{n}" for n in range(USERS)], "item_ids": [f"i{n}" for n in range(ITEMS)]}
    for titles, found in ((["A", None, "C", "D", "E"],) * 2, ([None] * ITEMS, None), (None, None)):
        save_bundle(tmp_path / "bundle", PARTS["dot"], **ids, seen=SEEN, titles=titles, manifest={"model": "test"})
        assert load_bundle(tmp_path / "bundle").titles == found
        export_bundle(tmp_path / "bundle", tmp_path / "out")
        assert load_bundle(tmp_path / "out").titles == found


def test_equal_input_gives_equal_bytes_and_replaces_the_old_bundle(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    first = _save(path)
    assert _save(path) == first
    assert _save(path, PARTS["dot"]) != first
    assert load_bundle(path).scorer.kind == "dot"
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]


def test_one_flipped_bit_in_any_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    _save(path)
    for file in sorted(path.iterdir()):
        if file.name in ("manifest.json", "README.md"):
            continue
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(BundleError, match=rf"{file.name} does not match its hash") as caught:
            load_bundle(path)
        assert "\n" not in str(caught.value)
        file.write_bytes(whole)
    load_bundle(path)


def test_missing_and_extra_files_are_refused(tmp_path: Path) -> None:
    for name in ("model.safetensors", "seen.safetensors", "users.parquet", "items.parquet"):
        _save(tmp_path / name)
        (tmp_path / name / name).unlink()
        with pytest.raises(BundleError, match=f"{name} is missing"):
            load_bundle(tmp_path / name)
    _save(tmp_path / "extra")
    (tmp_path / "extra" / "model.pkl").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"'model\.pkl' is not listed"):
        load_bundle(tmp_path / "extra")
    with pytest.raises(BundleError, match=r"no manifest\.json"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", "", "a/b", "a\\b", "manifest.json", "x\0y"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bundle"
    _save(path)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["files"][name] = "0" * 64
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="no plain file name"):
        load_bundle(path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    _save(path)
    moved = tmp_path / "elsewhere"
    os.replace(path / "model.safetensors", moved)
    (path / "model.safetensors").symlink_to(moved)
    with pytest.raises(BundleError, match="no regular file"):
        load_bundle(path)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"files": 3}', '{"files": {}}', '{"files": {}, "format_version": 2}', "[" * 100_000, "\ud800"],
)
def test_malformed_manifests_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bundle"
    _save(path)
    (path / "manifest.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(BundleError) as caught:
        load_bundle(path)
    assert "\n" not in str(caught.value)


def test_an_oversize_manifest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _save(tmp_path / "bundle")
    monkeypatch.setattr(manifest_module, "_MAX_BYTES", 10)
    with pytest.raises(BundleError, match="bytes, over 10"):
        load_bundle(tmp_path / "bundle")


def test_parts_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="the scorer is 6 x 5"):
        save_bundle(tmp_path / "b", PARTS["dot"], user_ids=["a"], item_ids=["b"], seen=SEEN, manifest={})
    with pytest.raises(BundleError, match="user ids repeat"):
        ids = [f"i{n}" for n in range(ITEMS)]
        save_bundle(tmp_path / "b", PARTS["dot"], user_ids=["a"] * USERS, item_ids=ids, seen=SEEN, manifest={})
    with pytest.raises(BundleError, match="NaN"):
        _save(tmp_path / "b", loss=float("nan"))
    assert not list(tmp_path.iterdir())


def test_other_folders_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="holds other files"):
        _save(tmp_path)
    with pytest.raises(BundleError, match="is a file"):
        _save(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_failed_write_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bundle"
    digest = _save(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "sync", full)
    with pytest.raises(OSError, match="No space"):
        _save(path, PARTS["dot"])
    assert load_bundle(path).hash == digest
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]


@settings(max_examples=80, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda x: st.lists(x, max_size=3)
    | st.dictionaries(st.sampled_from(["kind", "parts", "weights", "normalise"]), x), max_leaves=8))  # fmt: skip
def test_no_structure_escapes_as_another_error(structure: object) -> None:
    with pytest.raises(BundleError):
        scorer_from_tensors({}, structure)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 9), max_size=6), st.lists(st.integers(-3, 9), max_size=6))
def test_no_index_leaves_a_sparse_matrix(indices: list[int], indptr: list[int]) -> None:
    tensors = csr_to_tensors(sp.csr_matrix((3, 4), dtype=np.float32), "m")
    tensors |= {"m.indices": np.array(indices, dtype=np.int32), "m.indptr": np.array(indptr, dtype=np.int64)}
    tensors["m.data"] = np.ones(len(indices), dtype=np.float32)
    try:
        matrix = csr_from_tensors(tensors, "m")
    except BundleError:
        return
    assert matrix.toarray().shape == (3, 4)
    assert all(0 <= i < 4 for i in indices)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", list(PARTS))
def test_exports_agree_with_the_original(tmp_path: Path, name: str, precision: str) -> None:
    source = _save(tmp_path / "bundle", PARTS[name])
    told = export_bundle(tmp_path / "bundle", tmp_path / "out", onnx=True, precision=precision)
    allowed = {"float32": 1e-5, "float16": 5e-3, "int8": 0.1, "pq": 0.1}[precision]
    for way in ("bundle", "onnx"):
        assert told["agreement"][way]["max_error_in_deviations"] <= allowed
        assert told["agreement"][way]["top20_overlap"] == 1  # all five items, less the seen ones
    copy = load_bundle(tmp_path / "out")
    assert (copy.hash, copy.manifest["source"]) == (told["bundle"], source)
    assert (tmp_path / "out" / "scorer.onnx").is_file()


def test_values_too_large_for_a_precision_are_refused(tmp_path: Path) -> None:
    scorer = DotScorer(torch.full((USERS, 1), 1e6), torch.ones(ITEMS, 1))
    _save(tmp_path / "bundle", scorer)
    with pytest.raises(GnnError, match="65504"):
        export_bundle(tmp_path / "bundle", tmp_path / "out", precision="float16")
    with pytest.raises(GnnError, match="'float8' is unknown"):
        export_bundle(tmp_path / "bundle", tmp_path / "out", precision="float8")
    assert not (tmp_path / "out").exists()
