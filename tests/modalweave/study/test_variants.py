"""What a study compares: the variants a graph allows, the questions they answer, the slices they are asked in."""

from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from evaluation.findings import TEMPLATES
from evaluation.slices import popularity_groups
from gnn.config import GNNConfig
from gnn.matrices import interactions
from gnn.network.config import NetworkConfig
from gnn.testing import add_media, bare_graph, tiny_graph
from modalweave.errors import ConfigError
from modalweave.study.slices import FEWEST, categories, gains_by_slice
from modalweave.study.variants import (
    AUGMENTATIONS,
    JOINT,
    TWO_STAGES,
    Question,
    Variant,
    chosen,
    has_modality,
    has_relation,
    questions,
    reference,
    variants,
)

HETERO = GNNConfig.model_validate({"model": "hetero", "embedding_dim": 8})
BASELINES = ["popularity", "ease", "graph_filter"]


def graph(*labels: str, follows: bool = False) -> HeteroData:
    """Six users, six items; media of these kinds."""
    data = bare_graph(6, 6, [(n, n) for n in range(6)], [(n, (n + 1) % 6) for n in range(6)])
    for label in labels:
        add_media(data, label, np.random.default_rng(0).normal(size=(6, 4)), neighbours=2)
    if follows:
        data["User", "FOLLOWS", "User"].edge_index = torch.tensor([[0], [1]])
    return data


def related(data: HeteroData, relations: dict[str, list[tuple[int, int]]], entities: int) -> HeteroData:
    """Relations of items: name -> (item, entity)."""
    data["Entity"].num_nodes, data["Entity"].ids = entities, [f"e{n}" for n in range(entities)]
    data.relations = list(relations)
    pairs = [(item, entity, code) for code, rows in enumerate(relations.values()) for item, entity in rows]
    columns = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 3).T
    data["Item", "RELATED", "Entity"].edge_index = columns[:2].contiguous()
    data["Item", "RELATED", "Entity"].relation = columns[2].contiguous()
    return data


def names(found: list[Variant]) -> list[str]:
    return [variant.name for variant in found]


def test_without_media_and_links_there_is_the_network_and_the_baselines() -> None:
    assert names(variants(HETERO, graph())) == [*BASELINES, JOINT]


def test_one_modality_is_there_or_not() -> None:
    assert names(variants(HETERO, graph("Image"))) == [*BASELINES, JOINT, "no_media", "no_similar"]


def test_of_two_modalities_each_alone_says_what_the_other_adds() -> None:
    found = names(variants(HETERO, graph("Image", "Text")))
    fusions = ["feature", "decision"]
    assert found == [*BASELINES, JOINT, "no_media", "only_text", "only_image", *fusions, "no_similar"]


def test_of_three_modalities_each_is_also_left_out() -> None:
    found = {v.name: v for v in variants(HETERO, graph("Image", "Text", "Audio"))}
    assert found["no_audio"].gnn["modalities"] == ["text", "image"]
    assert found["only_audio"].gnn["modalities"] == ["audio"]
    assert found["no_media"].gnn["modalities"] == []
    assert found["decision"].gnn["fusion"] == "decision"


def test_a_relation_in_use_is_left_out_and_another_is_added() -> None:
    data = related(graph(follows=True), {"kind": [(0, 0)]}, 1)
    used = GNNConfig.model_validate({"model": "hetero", "relations": ["RELATED"]})
    found = {v.name: v for v in variants(used, data)}
    assert found["no_related"].gnn["relations"] == []
    assert found["with_follows"].gnn["relations"] == ["RELATED", "FOLLOWS"]
    assert "no_similar" not in found and "with_similar" not in found, "the graph has no such link"


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_is_left_out_where_it_is_on(name: str) -> None:
    on = GNNConfig.model_validate({"model": "hetero", name: 0.25})
    off = GNNConfig.model_validate({"model": "hetero", **dict.fromkeys(AUGMENTATIONS, 0.0)})
    assert f"no_{name}" in names(variants(on, graph("Image")))
    assert not {f"no_{n}" for n in AUGMENTATIONS} & set(names(variants(off, graph("Image"))))


def test_every_variant_is_a_section_that_a_config_takes() -> None:
    data = related(graph("Image", "Text", "Audio", follows=True), {"kind": [(0, 0)]}, 1)
    gnn = GNNConfig.model_validate({"model": "hetero", "embedding_dim": 8, "edge_dropout": 0.2, "ease": {"rank": 9}})
    for variant in variants(gnn, data):
        section = GNNConfig.model_validate(variant.gnn)
        assert section.model == ("hetero" if variant.seeded else variant.name)
        if variant.seeded:
            assert section.embedding_dim == 8, variant.name
    assert next(v for v in variants(gnn, data) if v.name == "ease").gnn == {"model": "ease", "ease": {"rank": 9}}


def test_a_second_stage_is_compared_whole_and_without_each_kind_of_evidence() -> None:
    data = related(tiny_graph().clone(), {"kind": [(0, 0), (1, 0)]}, 1)
    found = {v.name: v for v in variants(HETERO, data) if v.name.startswith(TWO_STAGES)}
    kinds = ["together", "text", "image", "relations", "popular", "history"]
    assert list(found) == [TWO_STAGES, *(f"{TWO_STAGES}_no_{kind}" for kind in kinds)]
    for name, variant in found.items():
        section = GNNConfig.model_validate(variant.gnn)
        assert (section.model, section.ranked.retriever, section.embedding_dim) == ("ranked", "hetero", 8), name
    assert found[f"{TWO_STAGES}_no_image"].gnn["ranked"]["leave_out"] == ["image", "agreement"]
    assert found[f"{TWO_STAGES}_no_relations"].gnn["ranked"]["leave_out"] == ["kind"]
    asked = {q.name: (q.with_it, q.without) for q in questions(list(variants(HETERO, data)), ["text", "image"])}
    assert asked[TWO_STAGES] == (TWO_STAGES, JOINT)
    assert asked[f"{TWO_STAGES}_image"] == (TWO_STAGES, f"{TWO_STAGES}_no_image")


def test_the_reference_is_one_joint_network_of_what_the_graph_has() -> None:
    section = GNNConfig.model_validate({"model": "hetero", "fusion": "decision", "layers": 1})
    found = reference(section, graph("Image"))
    assert (found.fusion, found.modalities, found.layers) == ("joint", ("image",), 1)


def test_under_auto_and_ensemble_it_is_their_first_network() -> None:
    auto = reference(GNNConfig.model_validate({"layers": 1}), graph("Image"))
    assert (auto.loss, auto.layers) == ("softmax", 1)
    parts = [{"model": "ease"}, {"model": "hetero", "network": {"layers": 3}}, {"model": "hetero"}]
    ensemble = GNNConfig.model_validate({"model": "ensemble", "ensemble": {"parts": parts}})
    two = {"model": "ranked", "ranked": {"retriever": "ensemble"}, "ensemble": {"parts": parts}}
    assert reference(GNNConfig.model_validate(two), graph()).layers == 3
    assert reference(ensemble, graph()).layers == 3
    closed = GNNConfig.model_validate({"model": "ensemble", "layers": 4, "ensemble": {"parts": [{"model": "ease"}]}})
    assert reference(closed, graph()).layers == 4


def test_a_variant_of_ones_own_changes_the_joint_one() -> None:
    found = variants(HETERO, graph(), {"wide": {"embedding_dim": 32}})[-1]
    assert (found.name, found.gnn["embedding_dim"]) == ("wide", 32)
    asked = questions(variants(HETERO, graph(), {"wide": {}}), [], ["wide"])
    assert Question("wide", "augmentation", "wide", "wide", JOINT) in asked


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"joint": {}}, "study.own.joint: the study has a variant of that name"),
        ({"x": {"layers": -1}}, "study.own.x: layers -1 must be"),
        ({"x": {"layer": 1}}, "study.own.x: layer"),
    ],
)
def test_one_that_cannot_be_is_one_line(own: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        variants(HETERO, graph(), own)
    assert "\n" not in str(caught.value)


def test_named_variants_keep_the_studys_order() -> None:
    found = variants(HETERO, graph("Image"))
    assert names(chosen(found, ["joint", "popularity"])) == ["popularity", "joint"]
    assert chosen(found, None) == found
    with pytest.raises(ConfigError, match=r"variant 'jont' is none of this study's: popularity, ease, "):
        chosen(found, ["joint", "jont"])


@pytest.mark.parametrize("labels", [(), ("Image",), ("Image", "Text"), ("Image", "Text", "Audio")])
def test_every_question_has_both_of_its_variants_and_words_to_answer_it(labels: tuple[str, ...]) -> None:
    data = related(graph(*labels, follows=True), {"kind": [(0, 0)]}, 1)
    found = variants(HETERO, data)
    media = [str(m) for m in reference(HETERO, data).modalities]
    asked = questions(found, media)
    assert len({question.name for question in asked}) == len(asked)
    for question in asked:
        assert {question.with_it, question.without} <= set(names(found))
        assert question.kind in TEMPLATES
    assert {f"{m}_alone" for m in media} <= {question.name for question in asked}


def test_what_a_modality_adds_is_asked_of_the_network_without_it() -> None:
    def added(*labels: str) -> dict[str, tuple[str, str]]:
        found = variants(HETERO, graph(*labels))
        media = [label.lower() for label in labels]
        return {q.name: (q.with_it, q.without) for q in questions(found, media) if q.kind == "added"}

    assert added("Text") == {}
    assert added("Text", "Image")["text_added"] == (JOINT, "only_image")
    assert added("Text", "Image", "Audio")["text_added"] == (JOINT, "no_text")


def test_a_question_without_one_of_its_two_is_not_asked() -> None:
    few = chosen(variants(HETERO, graph("Image")), ["joint", "popularity"])
    assert [question.name for question in questions(few, ["image"])] == ["over_popularity"]


def test_what_is_declared_but_empty_is_not_there() -> None:
    data = graph("Image")
    data["Item", "HAS_IMAGE", "Image"].edge_index = torch.zeros(2, 0, dtype=torch.int64)
    data["Image", "SIMILAR", "Image"].edge_index = torch.zeros(2, 0, dtype=torch.int64)
    assert not has_modality(data, "image") and not has_relation(data, "SIMILAR")
    assert reference(GNNConfig.of("hetero", NetworkConfig()), data).modalities == ()


KINDS = {
    "maker": [(item, item) for item in range(6)],
    "kind": [(0, 6), (1, 6), (2, 6), (3, 7)],
    "rare": [(0, 6), (1, 7)],
}


def test_the_category_is_the_relation_with_the_fewest_entities_that_covers_most_items() -> None:
    name, masks = categories(related(graph(), KINDS, 8), None)
    assert name == "kind", "makers are as many as items, and `rare` is known of two items in six"
    assert {entity: np.flatnonzero(mask).tolist() for entity, mask in masks.items()} == {"e6": [0, 1, 2], "e7": [3]}
    assert list(masks) == ["e6", "e7"], "the most frequent first"


def test_a_named_relation_is_taken_whatever_it_covers() -> None:
    name, masks = categories(related(graph(), KINDS, 8), "rare")
    assert (name, list(masks)) == ("rare", ["e6", "e7"])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (graph(), "the graph has no RELATED links of items"),
        (related(graph(), KINDS, 8), "'genre' is no relation of items; known are maker, kind, rare"),
        (related(graph(), {"kind": [(0, 0)], "genre": []}, 1), "'genre' is no relation of items; known are kind"),
    ],
    ids=["no links", "unknown", "of entities alone"],
)
def test_a_relation_that_no_item_has_is_one_line(data: HeteroData, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        categories(data, "genre")


def test_a_graph_without_categories_has_none() -> None:
    assert categories(graph(), None) == ("", {})
    assert categories(related(graph(), {"rare": KINDS["rare"]}, 8), None) == ("", {})


def test_a_gain_shows_in_the_slice_it_is_made_in() -> None:
    """One variant finds every wanted item that is well known and the other none: the rest is found by neither."""
    data = tiny_graph().clone()
    data["Item", "HAS_AUDIO", "Audio"].edge_index = torch.zeros(2, 0, dtype=torch.int64)
    valid = data["User", "INTERACTED", "Item"].valid_label_index
    wanted = valid[1].numpy()[np.argsort(valid[0].numpy())]
    ((third, known),) = list(popularity_groups(interactions(data)).items())[-1:]
    found = np.where(known[wanted], wanted, -1)[:, None]
    ranked = {"with": [found], "without": [np.full((38, 1), -1)]}
    asked = [Question("better", "fusion", "x", "with", "without")]
    settings: dict[str, Any] = {"category": None, "seed": 0, "resamples": 50}
    rows = gains_by_slice(data, "valid", ranked, asked, **settings)
    gains = {row["slice"]: row["difference"] for row in rows if row["group"] == "item_popularity"}
    assert gains.pop(f"{third} third") == pytest.approx(1.0)
    assert set(gains.values()) <= {0.0}
    whole = float(known[wanted].mean())
    (activity,) = [row for row in rows if row["group"] == "user_activity"]
    assert (activity["difference"], activity["question"]) == (pytest.approx(whole), "better")
    assert FEWEST == 20 and "cold_items" not in {row["group"] for row in rows}, "too few users to say anything"
