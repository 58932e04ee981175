"""Every feature against the same by plain loops."""

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from gnn.closed_form.popularity import Popularity
from gnn.matrices import histories, interactions, media_similarity
from gnn.ranker.evidence import Evidence
from gnn.ranker.features import Features, Scores
from gnn.ranker.learning import Learned
from tests.gnn.ranker.conftest import USERS, retriever

USED = torch.tensor([0, 7, 33, USERS - 1])


@pytest.fixture(scope="module")
def features(graph: HeteroData) -> Features:
    return Features(retriever(graph), Evidence.of(graph))


@pytest.fixture(scope="module")
def found(features: Features) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    candidates = np.array([[3, 5, 8, 39], [1, 2, 4, -1], [0, 10, 20, 30], [6, 7, 8, 9]])
    values = features.of(USED, candidates, Scores.of(features.retriever, USED))
    assert np.isfinite(values).all()
    assert values.dtype == np.float32
    return candidates, {d.name: values[:, :, n] for n, d in enumerate(features.described)}


def test_every_kind_of_evidence_is_there(features: Features) -> None:
    groups = {feature.group for feature in features.described}
    assert groups == {
        *("model", "together", "text", "image", "agreement", "made_by", "part_of", "attribute colour"),
        *("friends", "popular", "history"),
    }


def test_links_are_summed_and_the_strongest_kept(graph: HeteroData, found: tuple[np.ndarray, dict]) -> None:
    candidates, values = found
    history, similar = histories(graph), media_similarity(graph, "image")
    assert similar is not None
    for row, user in enumerate(USED.tolist()):
        for place, item in enumerate(candidates[row]):
            if item < 0:
                continue
            links = similar[history[user].indices, item].toarray().ravel()
            assert values["image, sum"][row, place] == pytest.approx(links.sum(), abs=1e-6)
            assert values["image, most"][row, place] == pytest.approx(links.max(initial=0), abs=1e-6)


def test_an_entity_gives_one_part_for_each_of_its_items(graph: HeteroData, found: tuple[np.ndarray, dict]) -> None:
    candidates, values = found
    owner = dict(graph["Item", "RELATED", "Entity"].edge_index.T[:40].tolist())
    sizes = np.bincount(list(owner.values()))
    history = interactions(graph)
    for row, user in enumerate(USED.tolist()):
        for place, item in enumerate(candidates[row]):
            if item >= 0:
                shared = sum(owner[int(h)] == owner[int(item)] for h in history[user].indices)
                assert values["made_by, sum"][row, place] == pytest.approx(shared / sizes[owner[int(item)]], rel=1e-5)


def test_values_of_an_attribute_in_common(graph: HeteroData, found: tuple[np.ndarray, dict]) -> None:
    candidates, values = found
    colours, history = graph.attributes["colour"].numpy(), interactions(graph)
    for row, user in enumerate(USED.tolist()):
        for place, item in enumerate(candidates[row]):
            if item >= 0:
                alike = (colours[history[user].indices] == colours[item]).sum() if colours[item] >= 0 else 0
                expected = alike / max((colours == colours[item]).sum(), 1)
                assert values["attribute colour, most"][row, place] == pytest.approx(expected, rel=1e-5)


def test_modalities_that_agree(found: tuple[np.ndarray, dict]) -> None:
    _, values = found
    expected = (values["text, most"] > 0).astype(int) + (values["image, most"] > 0)
    np.testing.assert_array_equal(values["modalities that agree"], expected)


def test_what_is_new_and_when_the_user_was_last_there(graph: HeteroData, found: tuple[np.ndarray, dict]) -> None:
    _, values = found
    assert values["new"][0].tolist() == [0, 0, 0, 1], "nobody has item 39"
    edges = graph["User", "INTERACTED", "Item"]
    mine = edges.timestamp[edges.edge_index[0] == 7].max()
    days = float(edges.timestamp.max() - mine) / 86_400
    assert values["days since the user's last"][1] == pytest.approx([days] * 4, rel=1e-4)


def test_friends_who_chose_it(graph: HeteroData, found: tuple[np.ndarray, dict]) -> None:
    candidates, values = found
    history = interactions(graph)
    follows = graph["User", "FOLLOWS", "User"].edge_index.T.tolist()
    for row, user in enumerate(USED.tolist()):
        friends = {b for a, b in follows if a == user} | {a for a, b in follows if b == user}
        for place, item in enumerate(candidates[row]):
            if item >= 0:
                chose = sum(history[friend, item] for friend in friends)
                assert values["friends who chose it"][row, place] == chose


def test_scores_and_places_are_the_users(features: Features, found: tuple[np.ndarray, dict]) -> None:
    candidates, values = found
    scores = features.retriever.scores(USED).double()
    standard = (scores - scores.mean(dim=1, keepdim=True)) / scores.std(dim=1, keepdim=True)
    there = candidates >= 0
    expected = standard.gather(1, torch.from_numpy(np.maximum(candidates, 0))).numpy()
    np.testing.assert_allclose(values["score"][there], expected[there], atol=1e-4)
    assert sorted(values["place"][0]) == [0, 1, 2, 3]
    assert {"score of part 0", "place of part 1"} <= set(values)


def test_ages_and_what_is_popular_now(graph: HeteroData, found: tuple[np.ndarray, dict]) -> None:
    candidates, values = found
    edges = graph["User", "INTERACTED", "Item"]
    days = (edges.timestamp.max() - edges.timestamp).numpy() / 86_400
    mine = edges.edge_index[1].numpy() == candidates[0, 0]
    assert values["days since last"][0, 0] == pytest.approx(days[mine].min(), rel=1e-5)
    assert values["popular 30 d"][0, 0] == pytest.approx(np.log1p((0.5 ** (days[mine] / 30)).sum()), rel=1e-5)


def test_a_scorer_alone_has_no_parts(graph: HeteroData) -> None:
    alone = Features(Popularity().fit(graph), Evidence.of(graph))
    assert [d.name for d in alone.described if d.group == "model"] == ["score", "place"]


def test_no_held_out_pair_is_looked_at(graph: HeteroData, learned: Learned) -> None:
    blind = graph.clone()
    edges = blind["User", "INTERACTED", "Item"]
    for split in ("valid", "test"):
        edges[f"{split}_label_index"] = edges[f"{split}_label_index"][:, :0]
    seeing, other = learned.scorer.retrieval.evidence, Evidence.of(blind)
    assert [links.group for links in seeing.links] == [links.group for links in other.links]
    assert all((a.weights != b.weights).nnz == 0 for a, b in zip(seeing.links, other.links, strict=True))
    assert all((seeing.facts[name] == values).all() for name, values in other.facts.items())


def test_a_relation_that_is_called_like_a_kind_of_evidence_keeps_its_own_name(graph: HeteroData) -> None:
    other = graph.clone()
    other.relations = ["image", "popular"]
    groups = [shared.group for shared in Evidence.of(other).shared]
    assert groups[:2] == ["relation image", "relation popular"]
