"""What a study claims: the one modality that carries the taste is found, and where there is nothing it says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch_geometric.data import HeteroData

from gnn.testing import add_media, bare_graph
from modalweave.progress import Stages
from modalweave.study.study import compare_variants
from tests.modalweave.study.study_cases import add_triples, no_signal, quick, sound_only

Make = Callable[..., HeteroData]
MEDIA = ("no_media", "only_text", "only_image", "only_audio", "no_text", "no_image", "no_audio", "joint")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    data = sound_only(bare_graph, add_media)
    add_triples(data, 0)
    config = quick(tmp_path_factory.mktemp("planted"), variants=(*MEDIA, "no_related"))
    return compare_variants(config, data, split="test", stages=Stages(quiet=True)).to_json()


def effect(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in result["effects"] if row["name"] == name)


def test_only_the_sound_helps(planted: dict[str, Any]) -> None:
    for name in ("audio_alone", "audio_added"):
        row = effect(planted, name)
        assert row["verdict"] == "better", row
        assert max(row["p_bootstrap"], row["p_wilcoxon"], row["p_seeds"]) < 0.05
        assert row["ci95"][0] > 0
    for name in ("text_alone", "image_alone", "text_added", "image_added"):
        assert effect(planted, name)["verdict"] != "better", effect(planted, name)


def test_it_says_so_in_words_with_intervals(planted: dict[str, Any]) -> None:
    said = " ".join(planted["findings"])
    assert "Sound on top of behaviour: recall@10 rises by" in said
    assert "Pictures on top of behaviour: recall@10 rises" not in said
    assert "The triples (RELATED) do not help here" in said
    assert all("95 % interval" in sentence for sentence in planted["findings"])


def test_the_trained_network_rests_on_the_sound(planted: dict[str, Any]) -> None:
    lost = {row["name"]: row for row in planted["knocked_out"]}
    assert lost["audio"]["verdict"] == "better"
    assert lost["audio"]["difference"] > 3 * max(lost["image"]["difference"], lost["text"]["difference"])
    shares = planted["carried"]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["audio content"] + shares["audio SIMILAR"] > shares["image content"] + shares["image SIMILAR"]


def test_the_gain_is_told_by_slice(planted: dict[str, Any]) -> None:
    mine = [row for row in planted["slices"] if row["question"] == "audio_alone"]
    assert any(row["verdict"] == "better" for row in mine)
    assert {row["group"] for row in mine} >= {"user_activity", "item_popularity", "category (category)"}
    assert not any(row["verdict"] == "better" for row in planted["slices"] if row["question"] == "image_alone")


def test_with_no_signal_nothing_is_claimed_in_19_of_20_studies(tmp_path: Path) -> None:
    """Networks of two epochs: what they learn is noise, and what counts is that the tests know."""
    claims = []
    for seed in range(20):
        config = quick(tmp_path / str(seed), seeds=(0, 1), variants=(*MEDIA[:4], "joint", "popularity"))
        config = config.model_copy(update={"gnn": config.gnn.model_copy(update={"epochs": 2})})
        data = no_signal(bare_graph, add_media, seed)
        result = compare_variants(config, data, split="test", stages=Stages(quiet=True)).to_json()
        claims.append([row["name"] for row in result["effects"] if row["verdict"] != "unclear"])
        assert bool(claims[-1]) != (result["findings"][0] == "Nothing in this study can be told apart from chance.")
    assert sum(map(bool, claims)) <= 1, claims
