"""Arrays in fewer bytes: how near they stay, and that what does not fit is refused."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.bundle.bundle import load_bundle, save_bundle
from gnn.bundle.export import export_bundle
from gnn.bundle.quantised import decoded, encoded, quantised
from gnn.errors import BundleError, GnnError
from gnn.scorers.base import DotScorer, ItemItemScorer, SumScorer

USERS, ITEMS, DIM = 1500, 1200, 16


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, DIM))
    return (centres[rng.integers(0, 40, ITEMS)] + 0.2 * rng.normal(size=(ITEMS, DIM))).astype(np.float32)


def test_codes_are_a_byte_for_two_numbers_and_near(vectors: np.ndarray) -> None:
    codes, books = encoded(vectors)
    assert (codes.dtype, codes.shape, books.shape) == (np.uint8, (ITEMS, DIM // 2), (DIM // 2, 256, 2))
    error = decoded("v", codes, books) - vectors
    assert (error**2).sum() < 0.01 * (vectors**2).sum()
    again = encoded(vectors)
    assert np.array_equal(codes, again[0]) and np.array_equal(books, again[1])


def test_an_odd_number_of_dimensions_is_filled_up(vectors: np.ndarray) -> None:
    codes, books = encoded(vectors[:, :5])
    found = decoded("v", codes, books)
    assert found.shape == (ITEMS, 6)
    assert not found[:, 5].any()


def test_codes_are_for_many_vectors_alone(vectors: np.ndarray) -> None:
    assert set(quantised("0.item_vectors", vectors, "pq")) == {"0.item_vectors.codes", "0.item_vectors.codebooks"}
    assert set(quantised("item_vectors", vectors[:1023], "pq")) == {"item_vectors", "item_vectors.scale"}
    assert set(quantised("weights", vectors, "pq")) == {"weights", "weights.scale"}
    assert quantised("history.data", vectors[0], "pq")["history.data"].dtype == np.float16


@pytest.mark.parametrize(
    ("codes", "books"),
    [
        (np.zeros((3, 2), np.int8), np.zeros((2, 4, 2), np.float16)),
        (np.zeros((3, 2), np.uint8), np.zeros((3, 4, 2), np.float16)),
        (np.zeros((3, 2), np.uint8), np.zeros((2, 4), np.float16)),
        (np.zeros((3, 2), np.uint8), np.zeros((2, 4, 17), np.float16)),
        (np.full((3, 2), 4, np.uint8), np.zeros((2, 4, 2), np.float16)),
        (np.zeros((3, 2), np.uint8), np.zeros((2, 4, 2), np.int32)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(codes: np.ndarray, books: np.ndarray) -> None:
    with pytest.raises(BundleError, match="v has code"):
        decoded("v", codes, books)


@pytest.fixture
def bundle(tmp_path: Path, vectors: np.ndarray) -> Path:
    """A sum of vectors and of item weights that a few dimensions hold."""
    rng = np.random.default_rng(1)
    users = vectors[rng.integers(0, ITEMS, USERS)] + 0.1 * rng.normal(size=(USERS, DIM)).astype(np.float32)
    history = sp.random(USERS, ITEMS, 0.01, format="csr", dtype=np.float32, random_state=1).sign()
    weights = ItemItemScorer(sp.csr_matrix(history), torch.from_numpy(vectors @ vectors.T))
    dot = DotScorer(torch.from_numpy(users), torch.from_numpy(vectors))
    ids = {"user_ids": [f"u{n}" for n in range(USERS)], "item_ids": [f"i{n}" for n in range(ITEMS)]}
    scorer = SumScorer([dot, weights], [0.6, 0.4])
    save_bundle(tmp_path / "bundle", scorer, **ids, seen=sp.csr_matrix(history), manifest={"model": "m"})
    return tmp_path / "bundle"


def test_a_sum_becomes_one_dot_product_in_few_bytes(bundle: Path, tmp_path: Path) -> None:
    whole = export_bundle(bundle, tmp_path / "whole")
    told = export_bundle(bundle, tmp_path / "small", precision="pq", dimensions=32, onnx=True)
    found = load_bundle(tmp_path / "small")
    assert found.scorer.kind == "dot"
    assert isinstance(found.scorer, DotScorer) and found.scorer.item_vectors.shape[1] <= 32
    assert told["agreement"]["bundle"]["top20_overlap"] > 0.75
    assert told["agreement"]["onnx"] == pytest.approx(told["agreement"]["bundle"], abs=1e-3)
    assert told["bytes"] < whole["bytes"] / 10


def test_a_second_stage_is_no_dot_product(tmp_path: Path) -> None:
    from tests.gnn.bundle.test_worked_example import ALL, HISTORY, ITEM_IDS, USER_IDS

    ids = {"user_ids": USER_IDS, "item_ids": ITEM_IDS}
    save_bundle(tmp_path / "b", ALL["ranked"], **ids, seen=HISTORY, manifest={"model": "m"})
    with pytest.raises(GnnError, match="second stage is no one dot product"):
        export_bundle(tmp_path / "b", tmp_path / "out", dimensions=8)
