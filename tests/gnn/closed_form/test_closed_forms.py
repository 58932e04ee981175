"""EASE, item-kNN and popularity: small cases worked by hand, and the large-catalogue forms against the exact ones."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.blocked import keep_top, truncated_svd
from gnn.closed_form.config import EASEConfig, ItemKNNConfig
from gnn.closed_form.ease import EASE, ease_weights
from gnn.closed_form.item_knn import ItemKNN
from gnn.closed_form.popularity import Popularity
from gnn.matrices import held_out, interactions, media_similarity
from gnn.parallel import in_threads, product
from gnn.scorers.base import DotScorer
from gnn.scorers.ranking import top_items
from gnn.validation import Validation

TRIO = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2)]
"""Three users, three items; X^T X = [[2,2,0],[2,3,1],[0,1,1]]."""


def test_ease_on_three_items_by_hand(bare_graph) -> None:
    # G + I = [[3,2,0],[2,4,1],[0,1,2]], determinant 13, adjugate [[7,-4,2],[-4,6,-3],[2,-3,8]];
    # B_ij = -P_ij / P_jj with P the inverse, so the determinant cancels
    expected = [[0, 4 / 6, -2 / 8], [4 / 7, 0, 3 / 8], [-2 / 7, 3 / 6, 0]]
    scorer = EASE(EASEConfig(regularisation=1.0)).fit(bare_graph(3, 3, TRIO))
    assert torch.allclose(scorer.weights, torch.tensor(expected), atol=1e-6)
    assert torch.allclose(scorer.scores(torch.tensor([2])), torch.tensor([[4 / 7 - 2 / 7, 3 / 6, 3 / 8]]), atol=1e-6)


def test_ease_leaves_the_gram_matrix_alone() -> None:
    gram = torch.eye(3)
    ease_weights(gram, 5.0)
    assert torch.equal(gram, torch.eye(3))


def test_ease_with_media_by_hand(bare_graph) -> None:
    graph = bare_graph(3, 3, TRIO)
    graph["Image"].num_nodes = 1  # items 0 and 2 share the only picture, so M links them with 1
    graph["Item", "HAS_IMAGE", "Image"].edge_index = torch.tensor([[0, 2], [0, 0]])
    graph["Image", "SIMILAR", "Image"].edge_index = torch.zeros(2, 0, dtype=torch.int64)
    graph["Image", "SIMILAR", "Image"].score = torch.zeros(0)
    # R = [[1,0,1],[0,0,0],[1,0,1]], R^T R = [[2,0,2],[0,0,0],[2,0,2]]; half of it and I on top of X^T X give
    # [[4,2,1],[2,4,1],[1,1,3]] with the adjugate [[11,-5,-2],[-5,11,-2],[-2,-2,12]]; item 1 has no picture
    expected = [[0, 5 / 11, 2 / 12], [5 / 11, 0, 2 / 12], [2 / 11, 2 / 11, 0]]
    recommender = EASE(EASEConfig(regularisation=1.0, media_weights={"image": 0.5, "text": 3.0}))
    assert torch.allclose(recommender.fit(graph).weights, torch.tensor(expected), atol=1e-6)
    assert recommender.resolved().media_weights == {"image": 0.5}  # nothing links texts here


def test_ease_with_media_reaches_what_nobody_has_yet_and_leaves_noise_out(taste_graph) -> None:
    graph = taste_graph()
    recommender = EASE(EASEConfig(media_weights=None))
    scorer, validation = recommender.fit(graph), Validation.of(graph, seed=0)
    assert recommender.media_weights["image"] > 0
    assert recommender.media_weights["audio"] == 0
    behaviour = EASE(EASEConfig(regularisation=recommender.regularisation)).fit(graph)
    assert validation.quality(scorer) > 5 * validation.quality(behaviour)
    again = EASE(recommender.resolved()).fit(graph)
    assert torch.equal(again.weights, scorer.weights)


@pytest.mark.parametrize("section", [{}, {"media_weights": {"text": 2.0, "image": 0.5}}, {"media_weights": None}])
def test_low_rank_ease_equals_the_exact_one_at_full_rank(mixed_graph, section) -> None:
    settings = {"regularisation": 5.0, "media_candidates": (0.0, 2.0), **section}
    exact, low = EASE(EASEConfig(**settings)), EASE(EASEConfig(**settings, dense_limit=1, rank=512))
    dense, dot = exact.fit(mixed_graph), low.fit(mixed_graph)
    assert isinstance(dot, DotScorer)
    assert exact.media_weights == low.media_weights
    users = torch.arange(60)
    unseen = torch.from_numpy(interactions(mixed_graph).toarray() == 0)
    assert torch.allclose(dense.scores(users)[unseen], dot.scores(users)[unseen], atol=2e-3)


def test_ease_chooses_its_penalty_on_validation_and_names_it(mixed_graph) -> None:
    candidates = (0.5, 5.0, 1e8)
    validation = Validation.of(mixed_graph, seed=0)
    qualities = [validation.quality(EASE(EASEConfig(regularisation=c)).fit(mixed_graph)) for c in candidates]
    recommender = EASE(EASEConfig(candidates=candidates))
    scorer = recommender.fit(mixed_graph)
    assert validation.quality(scorer) == max(qualities)
    assert recommender.resolved().regularisation == candidates[int(np.argmax(qualities))]


def test_ease_looks_at_a_sample_of_validation_users_and_an_eighth_of_it_where_large(mixed_graph, monkeypatch) -> None:
    looked: list[int] = []
    quality = Validation.quality

    def counted(self: Validation, scorer) -> float:
        looked.append(len(self.users))
        return quality(self, scorer)

    monkeypatch.setattr(Validation, "quality", counted)
    for section in ({}, {"search_users": 24}, {"search_users": 24, "dense_limit": 10}):
        looked.clear()
        EASE(EASEConfig(**section)).fit(mixed_graph)
        assert set(looked) == {{0: 60, 1: 24, 2: 3}[len(section)]}


def test_item_knn_by_hand(bare_graph) -> None:
    scorer = ItemKNN(ItemKNNConfig(k=1, shrinkage=0.0)).fit(bare_graph(3, 3, TRIO))
    # cosines: (0,1) 2/sqrt 6, (1,2) 1/sqrt 3, (0,2) 0; one neighbour each
    expected = [[0, 2 / 6**0.5, 0], [2 / 6**0.5, 0, 0], [0, 1 / 3**0.5, 0]]
    assert np.allclose(scorer.weights.toarray(), expected, atol=1e-6)


def test_popularity_counts_users(bare_graph) -> None:
    scorer = Popularity().fit(bare_graph(4, 3, TRIO))
    assert scorer.scores(torch.tensor([3])).tolist() == [[2.0, 3.0, 1.0]]


def test_held_out_pairs_stay_out_of_the_history(bare_graph) -> None:
    graph = bare_graph(3, 3, TRIO, valid=[(0, 2), (0, 1)], test=[(1, 2)])
    assert interactions(graph).toarray().tolist() == [[1, 1, 0], [1, 1, 0], [0, 1, 1]]
    assert held_out(graph, "valid").toarray().tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]  # (0, 1) is in train
    assert held_out(graph, "test").nnz == 1


def test_media_links_by_hand(bare_graph) -> None:
    graph = bare_graph(1, 4, [(0, 0)])
    graph["Image"].num_nodes = 3  # items 0 and 1 share picture 0; item 3 has none
    graph["Item", "HAS_IMAGE", "Image"].edge_index = torch.tensor([[0, 1, 2], [0, 0, 1]])
    graph["Image", "SIMILAR", "Image"].edge_index = torch.tensor([[0, 1], [1, 0]])
    graph["Image", "SIMILAR", "Image"].score = torch.tensor([0.5, 0.25])
    # alike: (0,1) = 1 by the shared picture, (0,2) = (1,2) = 0.5 + 0.25; row sums 1.75, 1.75, 1.5, 0
    far = 0.75 / (1.75 * 1.5) ** 0.5
    expected = [[0, 1 / 1.75, far, 0], [1 / 1.75, 0, far, 0], [far, far, 0, 0], [0, 0, 0, 0]]
    assert np.allclose(media_similarity(graph, "image").toarray(), expected, atol=1e-6)
    assert media_similarity(graph, "audio") is None


def test_pruning_keeps_the_largest_and_the_earlier_of_equals() -> None:
    matrix = sp.csr_matrix(np.array([[1, 3, 3, 2], [0, 0, 5, 0], [1, 1, 1, 1]], dtype=np.float32))
    assert keep_top(matrix, 2).toarray().tolist() == [[0, 3, 3, 0], [0, 0, 5, 0], [1, 1, 0, 0]]


@pytest.mark.parametrize("sparse", [True, False])
def test_truncated_svd_finds_a_low_rank_matrix(sparse: bool) -> None:
    generator = np.random.default_rng(0)
    matrix = (generator.standard_normal((30, 4)) @ generator.standard_normal((4, 20))).astype(np.float32)
    left, values, right = truncated_svd(sp.csr_matrix(matrix) if sparse else matrix, 4, seed=0)
    assert np.allclose((left * values) @ right.T, matrix, atol=1e-3)
    again = truncated_svd(sp.csr_matrix(matrix) if sparse else matrix, 4, seed=0)
    assert np.array_equal(right, again[2])


@pytest.mark.parametrize("recommender", [EASE(EASEConfig(regularisation=5.0)), ItemKNN(ItemKNNConfig(shrinkage=1.0))])
def test_closed_forms_beat_popularity_where_tastes_differ(mixed_graph, recommender) -> None:
    def hits(scorer) -> float:
        items, _ = top_items(scorer, torch.arange(60), interactions(mixed_graph), 5)
        positives = held_out(mixed_graph, "test").toarray()
        return float(np.take_along_axis(positives, items, axis=1).sum())

    assert hits(recommender.fit(mixed_graph, seed=0)) > 1.3 * hits(Popularity().fit(mixed_graph))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_products_are_the_same_on_any_number_of_threads(threads):
    rng = np.random.default_rng(0)
    matrix = sp.random(3000, 2000, density=0.1, format="csr", dtype=np.float32, rng=rng)
    right = rng.normal(size=(2000, 64)).astype(np.float32)
    sparse = sp.random(2000, 500, density=0.1, format="csr", dtype=np.float32, rng=rng)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert np.array_equal(product(matrix, right), matrix @ right)
        assert np.array_equal(product(matrix, sparse), (matrix @ sparse).toarray())
        assert list(in_threads(lambda n: n * n, range(5))) == [0, 1, 4, 9, 16]
    finally:
        torch.set_num_threads(before)
