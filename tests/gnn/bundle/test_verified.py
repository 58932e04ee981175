"""Files of a bundle in memory: once, checked on the way, and nothing malformed gets further."""

import json
import os
import tracemalloc
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as any_array
from safetensors.numpy import save

from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.bundle.export import export_bundle
from gnn.bundle.verified import arrays
from gnn.errors import BundleError
from gnn.scorers.base import DotScorer

USERS, ITEMS = 4000, 2000


def _save(path: Path, dim: int = 4) -> None:
    save_bundle(
        path,
        DotScorer(torch.ones(USERS, dim), torch.ones(ITEMS, dim)),
        user_ids=[str(n) for n in range(USERS)],
        item_ids=[str(n) for n in range(ITEMS)],
        seen=sp.csr_matrix((USERS, ITEMS), dtype=np.float32),
        manifest={"model": "x"},
    )


def _content(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype=np.uint8).copy()


def _put(path: Path, name: str, data: bytes) -> None:
    """As an attacker would who may write: the manifest vouches for the new content."""
    (path / name).write_bytes(data)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["files"][name] = sha256(data).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))


KINDS = st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8])


SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=5), any_array(KINDS, SHAPES), max_size=4))
def test_arrays_are_what_the_library_wrote(tensors: dict[str, np.ndarray]) -> None:
    found = arrays(_content(save(tensors)))
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        "{",
        '{"user_vectors": 3}',
        '{"user_vectors": {}}',
        '{"user_vectors": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 64]}}',
        '{"user_vectors": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}',
        '{"user_vectors": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}',
        '{"user_vectors": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}',
        '{"user_vectors": {"dtype": "F32", "shape": [true], "data_offsets": [0, 4]}}',
        '{"user_vectors": {"dtype": "F32", "shape": ["2"], "data_offsets": [0, 8]}}',
        '{"user_vectors": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}}',
        '{"user_vectors": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}',
        '{"user_vectors": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}',
        '{"user_vectors": {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]}}',
        "[" * 100_000,
    ],
)
def test_a_malformed_file_is_one_line(tmp_path: Path, header: str) -> None:
    _save(tmp_path / "b")
    _put(tmp_path / "b", "model.safetensors", len(header).to_bytes(8, "little") + header.encode() + bytes(16))
    with pytest.raises(BundleError) as caught:
        load_bundle(tmp_path / "b")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"1234", (1 << 62).to_bytes(8, "little") + b"{}"])
def test_a_cut_file_is_one_line(tmp_path: Path, data: bytes) -> None:
    _save(tmp_path / "b")
    _put(tmp_path / "b", "seen.safetensors", data)
    with pytest.raises(BundleError, match="cannot be read"):
        load_bundle(tmp_path / "b")


def test_a_pipe_in_a_files_place_is_refused_at_once(tmp_path: Path) -> None:
    _save(tmp_path / "b")
    (tmp_path / "b" / "seen.safetensors").unlink()
    os.mkfifo(tmp_path / "b" / "seen.safetensors")
    with pytest.raises(BundleError, match="no regular file"):
        load_bundle(tmp_path / "b")


def test_a_file_changed_after_the_check_changes_nothing(tmp_path: Path) -> None:
    _save(tmp_path / "b")
    bundle = load_bundle(tmp_path / "b")
    with (tmp_path / "b" / "model.safetensors").open("r+b") as file:
        file.write(b"\xff" * (tmp_path / "b" / "model.safetensors").stat().st_size)
    assert (bundle.scorer.scores(torch.arange(3)) == 4).all()


def test_a_bundle_that_changes_while_exported_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gnn.bundle import export

    _save(tmp_path / "b")
    copy = export.shutil.copyfile

    def swapped(source: Path, target: Path) -> None:
        copy(source, target)
        target.write_bytes(b"other")

    monkeypatch.setattr(export.shutil, "copyfile", swapped)
    with pytest.raises(BundleError, match="changed while it was exported"):
        export_bundle(tmp_path / "b", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_lie_in_memory_once(tmp_path: Path) -> None:
    dim = 1000
    size = 4 * dim * (USERS + ITEMS)  # 24 MB
    scorer = DotScorer(torch.ones(USERS, dim), torch.ones(ITEMS, dim))
    ids = [str(n) for n in range(USERS)]
    seen = sp.csr_matrix((USERS, ITEMS), dtype=np.float32)
    tracemalloc.start()
    try:
        save_bundle(tmp_path / "b", scorer, user_ids=ids, item_ids=ids[:ITEMS], seen=seen, manifest={})
        assert tracemalloc.get_traced_memory()[1] < 0.2 * size
        tracemalloc.reset_peak()
        load_bundle(tmp_path / "b")
        assert size <= tracemalloc.get_traced_memory()[1] < 1.2 * size
    finally:
        tracemalloc.stop()
