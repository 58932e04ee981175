"""Bundles from anywhere: whatever stands in their files, loading ends in a bundle that scores or in one line, and
makes nothing large of a small file."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from gnn.bundle import quantised
from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.bundle.export import export_bundle
from gnn.bundle.tensors import csr_to_tensors
from gnn.errors import BundleError
from gnn.ranker.evidence import Evidence, Links, Shared
from gnn.ranker.scorer import RankedScorer, Retrieval
from gnn.ranker.trees import Trees
from gnn.scorers.base import DotScorer, ItemItemScorer, Scorer, SumScorer, UserTerms

USERS, ITEMS = 4, 3
_MOST = 4 << 20
"""Bytes that loading a bundle of a few kilobytes may take."""

Contents = dict[str, bytes]

fuzzed = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _ranked(retriever: SumScorer, history: sp.csr_matrix) -> RankedScorer:
    """One tree of one question over every kind of evidence."""
    links = (Links("image", sp.csr_matrix(np.ones((ITEMS, ITEMS), np.float32))),)
    shared = (Shared("made_by", sp.csr_matrix(np.ones((ITEMS, 2), np.float32))),)
    facts = {"popular": np.ones(ITEMS, np.float32), "age": np.arange(ITEMS, dtype=np.float32)}
    friends = sp.csr_matrix(np.eye(USERS, k=1, dtype=np.float32))
    evidence = Evidence(history, links, facts, shared, {"age": np.ones(USERS, np.float32)}, friends)
    whole, real = ({name: np.array(row, kind) for name, row in rows.items()} for kind, rows in _TREE.items())
    return RankedScorer(Retrieval(retriever, evidence, 2), Trees(**whole, **real), 0.5)


_TREE: dict[type, dict[str, list[float]]] = {
    np.int32: {"feature": [0, -1, -1], "left": [1, 0, 0], "right": [2, 0, 0], "roots": [0]},
    np.float32: {"threshold": [0, 0, 0], "value": [0, 1, -1], "cover": [2, 1, 1]},
}


@pytest.fixture(scope="module", params=["sum-int8", "ranked-int8", "sum-pq", "sum-trained"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """The files of a small bundle with every kind of array, scales and codes among them."""
    root = tmp_path_factory.mktemp("sound")
    rng = np.random.default_rng(0)
    history = sp.csr_matrix(np.array([[1, 0, 1], [0, 0, 0], [0, 2, 0], [1, 1, 0]], np.float32))
    weights = rng.standard_normal((ITEMS, ITEMS)).astype(np.float32)
    terms = UserTerms(torch.ones(ITEMS, 2), {"image": torch.ones(ITEMS, 2)}, torch.ones(USERS, 1), torch.ones(USERS))
    parts = [
        DotScorer(torch.ones(USERS, 2), torch.ones(ITEMS, 2), terms=terms),
        ItemItemScorer(history, torch.from_numpy(weights)),
        ItemItemScorer(history, sp.csr_matrix(weights * (weights > 0))),
    ]
    ids = {"user_ids": list("abcd"), "item_ids": list("xyz")}
    seen = sp.csr_matrix(np.eye(USERS, ITEMS, dtype=np.float32))
    summed = SumScorer(parts, [0.5, 0.3, 0.2])
    kind, precision = request.param.split("-")
    scorer: Scorer = _ranked(summed, history) if kind == "ranked" else summed
    save_bundle(root / "b", scorer, **ids, seen=seen, history=history, titles=["X", None, "Z"], manifest={"model": "m"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantised, "_LEAST_ROWS", 2)
        patch.setattr(quantised, "_BITS", 1)
        if precision != "trained":
            export_bundle(root / "b", root / "out", precision=precision)
    folder = root / ("b" if precision == "trained" else "out")
    names = {"manifest.json": None, **json.loads((folder / "manifest.json").read_text())["files"]}
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture
def attempt(tmp_path: Path) -> Callable[[Contents], bool]:
    """Load files whose manifest vouches for them, and score; whether there is a bundle."""

    def load(contents: Contents, *, vouch: bool = True) -> bool:
        folder = tmp_path / "b"
        folder.mkdir(exist_ok=True)
        for name, data in contents.items():
            (folder / name).write_bytes(data)
        if vouch:
            manifest = json.loads(contents["manifest.json"])
            manifest["files"] = {
                name: sha256(contents[name]).hexdigest() for name in contents if name != "manifest.json"
            }
            (folder / "manifest.json").write_text(json.dumps(manifest))
        with _little_memory():
            try:
                bundle = load_bundle(folder, terms=True)
            except BundleError as error:
                assert len(str(error).splitlines()) == 1
                assert str(error).isprintable()
                return False
        found = bundle.served.scores(torch.arange(len(bundle.user_ids)))
        assert found.shape == (len(bundle.user_ids), len(bundle.item_ids))
        return True

    return load


@contextmanager
def _little_memory() -> Iterator[None]:
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < _MOST
    assert pool.bytes_allocated() - before < _MOST


def _header(data: bytes) -> tuple[dict[str, Any], bytes]:
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def _with_header(header: Any, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_the_sound_one_loads(sound: Contents, attempt: Callable[..., bool]) -> None:
    assert attempt(sound)


NUMBERS = st.integers(-2, 40) | st.sampled_from(
    [1 << 31, 1 << 40, (1 << 40) + 1, 1 << 62, 1 << 63, 1 << 64, -(1 << 70)]
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@fuzzed
@given(data=st.data())
def test_headers_of_arrays(sound: Contents, attempt: Callable[..., bool], data: st.DataObject) -> None:
    """Sizes, types, places and names of arrays: huge, negative, overlapping, missing, another's."""
    file = data.draw(st.sampled_from([name for name in sound if name.endswith(".safetensors")]))
    header, content = _header(sound[file])
    name = data.draw(st.sampled_from(sorted(header)))
    field = data.draw(st.sampled_from(["dtype", "shape", "data_offsets", "name", "gone", "whole"]))
    types = st.sampled_from(["F16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U64", "BF16", "BOOL", "O"])
    if field == "dtype":
        header[name]["dtype"] = data.draw(types | VALUES)
    elif field == "shape":
        header[name]["shape"] = data.draw(st.lists(NUMBERS, max_size=4) | VALUES)
    elif field == "data_offsets":
        header[name]["data_offsets"] = data.draw(st.lists(NUMBERS, min_size=2, max_size=2) | VALUES)
    elif field == "name":
        header[data.draw(st.sampled_from(sorted(header)) | st.text(max_size=6))] = header.pop(name)
    elif field == "gone":
        header.pop(name)
    else:
        header[name] = data.draw(VALUES)
    attempt({**sound, file: _with_header(header, content)})


@fuzzed
@given(data=st.data())
def test_contents_of_arrays(sound: Contents, attempt: Callable[..., bool], data: st.DataObject) -> None:
    """Numbers that point outside, descend or are none."""
    file = data.draw(st.sampled_from([name for name in sound if name.endswith(".safetensors")]))
    header, content = _header(sound[file])
    name = data.draw(st.sampled_from(sorted(header)))
    start, end = header[name]["data_offsets"]
    if start == end:
        return
    put = data.draw(
        st.binary(min_size=1, max_size=end - start) | st.sampled_from([b"\xff" * (end - start), b"\x7f" * 4])
    )
    at = data.draw(st.integers(start, end - 1))
    changed = bytearray(content)
    changed[at : min(at + len(put), end)] = put[: end - at]
    attempt({**sound, file: _with_header(header, bytes(changed))})


@fuzzed
@given(data=st.data())
def test_any_bytes(sound: Contents, attempt: Callable[..., bool], data: st.DataObject) -> None:
    """A file that is cut, filled up or overwritten anywhere."""
    file = data.draw(st.sampled_from([name for name in sound if name.endswith((".safetensors", ".parquet"))]))
    content = bytearray(sound[file])
    at, put = data.draw(st.integers(0, len(content))), data.draw(st.binary(max_size=12))
    content[at : at + data.draw(st.integers(0, 12))] = put
    attempt({**sound, file: bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])})


PLACES = st.sampled_from(
    [
        (),
        ("scorer",),
        ("scorer", "parts"),
        ("scorer", "parts", 1),
        ("files",),
        ("users",),
        ("items",),
        ("format_version",),
    ]
    + [("scorer", key) for key in ("kind", "weights", "normalise", "candidates", "blend", "features", "links", "facts")]
    + [("scorer", key) for key in ("retriever", "shared", "habits")]
    + [("scorer", "parts", 0, "kind"), ("scorer", "parts", 1, "weights"), ("files", "../x"), ("files", "a\nb")]
    + [("files", "model.safetensors"), ("files", "manifest.json"), ("seed",), ("onnx",), ("another",)]
)


@fuzzed
@given(
    place=PLACES, value=VALUES | st.sampled_from(["0" * 64, "dot", "item_item", "sum", "dense", "rank", "1.0", 10**400])
)
@example(place=("scorer", "weights"), value=[float("nan")] * 3)
@example(place=("scorer", "weights"), value=[float("inf"), 0, 0])
@example(place=("files", "../../etc/passwd"), value="0" * 64)
@example(place=("files", "a\nb"), value="0" * 64)
@example(place=("files", "\ud800"), value="0" * 64)
@example(place=("format_version",), value="1." + "9" * 5000)
@example(place=("format_version",), value="1.²")
def test_manifests(sound: Contents, attempt: Callable[..., bool], place: tuple[Any, ...], value: Any) -> None:
    manifest = json.loads(sound["manifest.json"])
    if not place:
        manifest = value
    else:
        inner = manifest
        for key in place[:-1]:
            if isinstance(inner, dict) and key == "parts" and "retriever" in inner:
                inner = inner["retriever"]
            inner = inner[key]
        inner[place[-1]] = value
    attempt({**sound, "manifest.json": json.dumps(manifest).encode()}, vouch=False)


def _deep(levels: int) -> Any:
    scorer: Any = {"kind": "dot"}
    for _ in range(levels):
        scorer = {"kind": "sum", "weights": [1], "normalise": True, "parts": [scorer]}
    return scorer


@pytest.mark.parametrize("levels", [6, 200, 320])
def test_endless_nesting(sound: Contents, attempt: Callable[..., bool], levels: int) -> None:
    manifest = {**json.loads(sound["manifest.json"]), "scorer": _deep(levels)}
    assert not attempt({**sound, "manifest.json": json.dumps(manifest).encode()}, vouch=False)


def _parquet(table: pa.Table, **how: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **how)
    return bytes(sink.getvalue().to_pybytes())


def _ids(**columns: Any) -> pa.Table:
    return pa.table({"index": pa.array([0, 1, 2]), **columns})


TITLES = ["t" * (1 << 20)] * 3


@pytest.mark.parametrize(
    ("table", "loads"),
    [
        (_ids(item_id=["x", "y", "z"]), True),
        (_ids(item_id=["x", "y", "z"], title=["a", "a", None]), True),
        (_ids(item_id=["x", "y", None]), False),
        (_ids(item_id=["x", "x", "y"]), False),
        (_ids(item_id=[1, 2, 3]), False),
        (_ids(item_id=[["x"], [], []]), False),
        (_ids(item_id=[b"x", b"\xff", b"z"]), False),
        (_ids(item_id=pa.nulls(3)), False),
        (_ids(item_id=pa.array(["x", "y", "z"]).dictionary_encode()), True),
        (_ids(id=["x", "y", "z"]), False),
        (pa.table({"index": [0, 1, 3], "item_id": ["x", "y", "z"]}), False),
        (pa.table({"index": [0.0, 1, 2], "item_id": ["x", "y", "z"]}), False),
        (pa.table({"index": [0, 1, None], "item_id": ["x", "y", "z"]}), False),
        (pa.table({"index": [0, 1], "item_id": ["x", "y"]}), False),
        (pa.table({"index": np.zeros(1 << 20, np.int64), "item_id": pa.array(["x"] * (1 << 20))}), False),
    ],
)
def test_tables_of_ids(sound: Contents, attempt: Callable[..., bool], table: pa.Table, loads: bool) -> None:
    assert attempt({**sound, "items.parquet": _parquet(table)}) == loads


def test_a_small_file_that_unpacks_to_a_large_one(sound: Contents, attempt: Callable[..., bool]) -> None:
    packed = _parquet(_ids(item_id=["x" * (8 << 20), "y", "z"]), compression="zstd")
    assert len(packed) < 10_000
    assert not attempt({**sound, "items.parquet": packed})


@pytest.mark.parametrize("rows", [1 << 31, 1 << 39])
def test_sizes_without_anything_in_them(sound: Contents, attempt: Callable[..., bool], rows: int) -> None:
    """A matrix without columns has as many rows as it says."""
    empty = {"user_vectors": np.zeros((rows, 0), np.float32), "item_vectors": np.zeros((rows, 0), np.float32)}
    manifest = {**json.loads(sound["manifest.json"]), "scorer": {"kind": "dot"}, "users": rows, "items": rows}
    contents = {**sound, "model.safetensors": save(empty), "manifest.json": json.dumps(manifest).encode()}
    assert not attempt(contents)
    pairs = csr_to_tensors(sp.csr_matrix((USERS, ITEMS), dtype=np.float32), "seen")
    pairs["seen.shape"] = np.array([USERS, rows])
    empty["user_vectors"] = empty["user_vectors"][:USERS]
    assert not attempt({**contents, "model.safetensors": save(empty), "seen.safetensors": save(pairs)})


def test_codes_do_not_unpack_to_more_than_they_are(sound: Contents, attempt: Callable[..., bool]) -> None:
    """A code of a byte that stands for a million numbers."""
    codes = {f"user_vectors.{n}": a for n, a in _coded(USERS).items()}
    codes |= {f"item_vectors.{n}": a for n, a in _coded(ITEMS).items()}
    manifest = {**json.loads(sound["manifest.json"]), "scorer": {"kind": "dot"}}
    contents = {**sound, "model.safetensors": save(codes), "manifest.json": json.dumps(manifest).encode()}
    assert not attempt(contents)


def _coded(rows: int) -> dict[str, np.ndarray]:
    return {"codes": np.zeros((rows, 1), np.uint8), "codebooks": np.zeros((1, 1, 100_000), np.float16)}


def test_unsigned_pointers_do_not_descend_unseen(sound: Contents, attempt: Callable[..., bool]) -> None:
    pairs = csr_to_tensors(sp.csr_matrix((USERS, ITEMS), dtype=np.float32), "seen")
    pairs |= {"seen.indptr": np.array([0, 200, 3, 1, 0], np.uint8)}
    assert not attempt({**sound, "seen.safetensors": save(pairs)})
