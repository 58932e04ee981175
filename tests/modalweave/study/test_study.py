"""`modalweave study` as a user runs it: products, resuming, choosing variants."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
QUICK = (
    "--set",
    "gnn={model: hetero, embedding_dim: 8, epochs: 2, identity_dropout: 0.2}",
    "--set",
    "study.resamples=200",
)
VARIANTS = ("--variants", "popularity,joint,no_media,no_related", "--seeds", "0,1")


@pytest.fixture
def built(config: Path, modalweave: Run) -> Path:
    assert modalweave("build", config).code == 0
    return config


def test_a_study_leaves_a_page_a_table_and_the_findings(built: Path, modalweave: Run, tmp_path: Path) -> None:
    done = modalweave("study", built, *QUICK, *VARIANTS, "--markdown", tmp_path / "docs", "--json")
    assert done.code == 0, done.err
    result = done.json()
    assert [variant["name"] for variant in result["variants"]] == ["popularity", "joint", "no_media", "no_related"]
    for variant in result["variants"]:
        low, high = variant["metrics"]["recall@10"]["ci95"]
        assert low <= variant["metrics"]["recall@10"]["mean"] <= high
        assert variant["seconds"] >= 0
        assert variant["memory_mb"] > 50
    assert {row["name"] for row in result["effects"]} == {"image_alone", "related", "over_popularity"}
    assert {row["name"] for row in result["knocked_out"]} == {"image", "RELATED", "SIMILAR"}
    assert sum(result["carried"].values()) == pytest.approx(1)
    page = (tmp_path / "run" / "study.html").read_text()
    HTMLParser().feed(page)
    assert "<svg" in page
    assert "http-equiv" in page
    assert all(f"{word}=" not in page for word in ("src", "srcset"))
    guide = (tmp_path / "docs" / "small.md").read_text()
    plots = {path.name for path in (tmp_path / "docs").glob("*.png")}
    assert {"small-variants.png", "small-effects.png"} <= plots
    assert all(f"({plot})" in guide for plot in plots)


def test_a_study_goes_on_where_it_stopped_and_settings_are_never_mixed(built: Path, modalweave: Run) -> None:
    first = modalweave("study", built, *QUICK, "--variants", "joint", "--seeds", "0")
    assert first.code == 0, first.err
    kept = built.parent / "run" / "study"
    (run,) = kept.iterdir()
    written = run.stat().st_mtime_ns
    second = modalweave("study", built, *QUICK, "--variants", "joint,no_media", "--seeds", "0,1")
    assert "1/4 joint, seed 0: kept from an earlier study" in second.err
    assert "no_media, seed 1: kept" not in second.err
    assert run.stat().st_mtime_ns == written
    assert len(list(kept.iterdir())) == 4
    third = modalweave("study", built, *QUICK, "--variants", "joint", "--seeds", "0", "--set", "gnn.layers=1")
    assert "kept" not in third.err
    assert len(list(kept.iterdir())) == 5


def test_a_damaged_run_is_named(built: Path, modalweave: Run) -> None:
    command = ("study", built, *QUICK, "--variants", "popularity", "--seeds", "0")
    assert modalweave(*command).code == 0
    (run,) = (built.parent / "run" / "study").iterdir()
    run.write_bytes(b"broken")
    again = modalweave(*command)
    assert again.code == 1
    assert run.name in again.err
    assert "delete it" in again.err


def test_variants_are_listed_and_an_unknown_one_is_refused(built: Path, modalweave: Run) -> None:
    listed = modalweave("study", built, *QUICK, "--list", "--json").json()["variants"]
    names = [variant["name"] for variant in listed]
    assert {"popularity", "joint", "no_media", "no_related", "no_similar", "no_identity_dropout"} <= set(names)
    assert "only_image" not in names  # the only modality: that is the joint network itself
    overrides = {variant["name"]: variant["gnn"] for variant in listed}
    assert overrides["no_related"] == overrides["joint"] | {"relations": ["SIMILAR", "FOLLOWS"]}
    refused = modalweave("study", built, *QUICK, "--variants", "joint,nonsense")
    assert refused.code == 1
    assert "'nonsense'" in refused.err
    assert refused.err.count("\n") == 1 or refused.err.splitlines()[-1].startswith("modalweave: variant")


def test_a_variant_is_a_config_that_train_takes(built: Path, modalweave: Run) -> None:
    listed = modalweave("study", built, *QUICK, "--list", "--json").json()["variants"]
    (gnn,) = (variant["gnn"] for variant in listed if variant["name"] == "no_media")
    assert modalweave("train", built, "--set", f"gnn={json.dumps(gnn)}").code == 0


def test_a_variant_of_ones_own_is_held_against_joint(built: Path, modalweave: Run) -> None:
    def study(own: str, *more: str) -> Any:
        return modalweave("study", built, *QUICK, "--set", f"study.own={own}", "--seeds", "0", *more)

    done = study("{pruned: {edge_dropout: 0.3}}", "--variants", "joint,pruned", "--json").json()
    assert [variant["name"] for variant in done["variants"]] == ["joint", "pruned"]
    assert done["variants"][1]["gnn"] == done["variants"][0]["gnn"] | {"edge_dropout": 0.3}
    assert [row["name"] for row in done["effects"]] == ["pruned"]
    refused = {
        "{joint: {layers: 1}}": "study.own.joint: the study has a variant of that name",
        "{deep: {layers: -1}}": "study.own.deep: layers -1",
        "{odd: {laters: 1}}": "study.own.odd: laters 1",
        "{../x: {layers: 1}}": "study.own",
    }
    for own, reason in refused.items():
        answer = study(own)
        assert answer.code == 1
        assert reason in answer.err.splitlines()[-1]
