import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from gnn.errors import GnnError
from gnn.network.config import ImputeConfig
from gnn.network.imputation import impute

# A path 0 - 1 - 2 - 3, and 4 alone; 0 and 2 are known.
PATH = sp.csr_matrix(([1.0] * 6, ([0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2])), shape=(5, 5))
VECTORS = np.array([[1, 0], [9, 9], [0, 1], [9, 9], [9, 9]], dtype=np.float32)
KNOWN = np.array([True, False, True, False, False])


def test_none_leaves_zeros_where_nothing_is_known():
    result = impute(VECTORS, KNOWN, PATH, ImputeConfig())
    assert result.vectors.tolist() == [[1, 0], [0, 0], [0, 1], [0, 0], [0, 0]]
    assert not result.filled.any()


def test_neighbours_take_the_weighted_mean():
    graph = PATH.copy()
    graph[1, 0] = 3.0
    result = impute(VECTORS, KNOWN, graph, ImputeConfig(method="neighbours"))
    assert result.vectors.tolist() == [[1, 0], [0.75, 0.25], [0, 1], [0, 1], [0, 0]]
    assert result.filled.tolist() == [False, True, False, True, False]
    assert result.known.tolist() == KNOWN.tolist()


def test_hops_go_outwards_as_far_as_allowed():
    known = np.array([True, False, False, False, False])
    two = impute(VECTORS, known, PATH, ImputeConfig(method="hops", hops=2))
    assert two.filled.tolist() == [False, True, True, False, False]
    three = impute(VECTORS, known, PATH, ImputeConfig(method="hops", hops=9))
    assert three.filled.tolist() == [False, True, True, True, False]
    assert three.vectors[3].tolist() == [1, 0]


def test_pagerank_weighs_the_nearer_more():
    known = np.array([True, False, False, True, False])
    vectors = np.array([[1, 0], [0, 0], [0, 0], [0, 1], [0, 0]], dtype=np.float32)
    result = impute(vectors, known, PATH, ImputeConfig(method="pagerank", iterations=60))
    assert result.filled.tolist() == [False, True, True, False, False]
    assert result.vectors[1] == pytest.approx(result.vectors[2][::-1], abs=1e-5)
    assert result.vectors[1][0] > result.vectors[1][1] > 0
    # By hand: walks from node 1 that stop at 0 or 3, solved from (I - d P)^-1.
    walk = np.array([[0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [0, 0, 1, 0]])
    weights = np.linalg.inv(np.eye(4) - 0.85 * walk)[1][[0, 3]]
    assert result.vectors[1] == pytest.approx(weights / weights.sum(), abs=1e-3)


def test_what_does_not_fit_is_an_error():
    with pytest.raises(GnnError, match="do not fit"):
        impute(VECTORS, KNOWN[:3], PATH, ImputeConfig())
    with pytest.raises(GnnError, match="negative"):
        impute(VECTORS, KNOWN, -PATH, ImputeConfig(method="hops"))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["neighbours", "hops", "pagerank"]))
def test_filled_vectors_lie_between_known_ones(seed, method):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 20))
    graph = sp.random(n, n, 0.2, random_state=rng, format="csr")
    known = rng.random(n) < 0.4
    vectors = rng.normal(size=(n, 3)).astype(np.float32)
    result = impute(vectors, known, graph, ImputeConfig(method=method))
    assert np.array_equal(result.vectors[known], vectors[known])
    assert not (result.filled & known).any()
    assert not result.vectors[~known & ~result.filled].any()
    if result.filled.any():
        assert (result.vectors[result.filled] <= vectors[known].max(axis=0) + 1e-4).all()
        assert (result.vectors[result.filled] >= vectors[known].min(axis=0) - 1e-4).all()
