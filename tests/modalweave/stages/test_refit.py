"""The model to serve: what validation chose, fitted on everything; and runs that hold nothing out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import modalweave as mw
from gnn.bundle.bundle import load_bundle

Run = Callable[..., Any]


@pytest.fixture
def finished(config: Path, modalweave: Run) -> Path:
    """The workspace of a whole run."""
    done = modalweave("run", config)
    assert done.code == 0, done.err
    return config.parent / "run"


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def test_a_run_serves_the_chosen_settings_fitted_on_everything(finished: Path) -> None:
    measured, serving = manifest(finished / "bundle"), manifest(finished / "serving")
    assert measured["fitted_on"] == ["train"]
    assert serving["fitted_on"] == ["train", "valid", "test"]
    assert (
        serving["settings"]
        == measured["settings"]
        == measured["chosen"] | {"popularity": measured["settings"]["popularity"]}
    )
    assert serving["settings"]["ease"]["regularisation"] > 0
    bundle = load_bundle(finished / "serving")
    assert bundle.history.nnz == bundle.seen.nnz == 420
    assert load_bundle(finished / "bundle").history.nnz == 420 - 2 * 60
    assert json.loads((finished / "validation.json").read_text())["split"] == "valid"
    assert not (finished / "checkpoints").exists()


def test_it_carries_the_measured_models_numbers_named_as_such(finished: Path) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    serving = manifest(finished / "serving")
    assert metrics["split"] == "test"
    assert serving["measured"] == {"split": "test", "bundle": metrics["bundle"], "metrics": metrics["metrics"]}
    assert "metrics" not in serving
    card = (finished / "serving" / "README.md").read_text()
    assert "| fitted on | train, valid, test |" in card
    assert "## The model that was measured (test split)" in card
    assert metrics["bundle"] in card
    assert f"| recall@5 | {metrics['metrics']['recall@5']['mean']:.4f} |" in card


def test_scores_and_answers_are_of_the_model_to_serve(finished: Path, modalweave: Run) -> None:
    serving, measured = load_bundle(finished / "serving").hash, load_bundle(finished / "bundle").hash
    scores = pq.read_table(finished / "scores" / "part-00000.parquet").to_pylist()
    run = mw.open(finished.parent / "run.yaml", progress=False)
    best = run.recommend("u01", k=3)["item_id"].to_list()
    assert best == [row["item_id"] for row in scores if row["user_id"] == "u01"][:3]
    assert run.explain("u01", best[0]).model.bundle == serving
    for named in (finished.parent / "run.yaml", finished):
        told = modalweave("score", named, "--out", finished / "more", "--json")
        assert told.json()["bundle"] == serving
    assert modalweave("score", finished / "bundle", "--out", finished / "old", "--json").json()["bundle"] == measured
    assert modalweave("export", finished, "--out", finished / "export", "--json").json()["source"] == serving


def test_the_same_refit_has_the_same_bytes_and_an_older_one_is_told(finished: Path, modalweave: Run) -> None:
    config = finished.parent / "run.yaml"
    first = load_bundle(finished / "serving").hash
    found = modalweave("refit", config, "--json").json()
    assert found["bundle"] == first
    assert found["measured"]["metrics"]["recall@5"]["mean"] > 0
    assert modalweave("train", config, "--set", "gnn.ease.regularisation=7.0").code == 0
    told = modalweave("score", config, "--out", finished / "more", "--json")
    assert told.json()["bundle"] == load_bundle(finished / "bundle").hash
    said = modalweave("score", config, "--out", finished / "more")
    assert "serving is of an earlier training" in said.err
    assert "modalweave refit" in said.err


def test_unknown_users_are_listed_and_an_older_folder_is_replaced_on_request(finished: Path, modalweave: Run) -> None:
    (finished / "users.txt").write_text("u01\nnobody\n")
    arguments = ("score", finished, "--out", finished / "some", "--users", finished / "users.txt")
    done = modalweave(*arguments, "--json")
    assert done.code == 0, done.err
    assert done.json()["unknown"] == ["nobody"]
    assert "1 users are unknown to the model and get what is popular: 'nobody'" in done.err
    assert "unknown user 'nobody'" in modalweave(*arguments, "--strict").err
    refused = modalweave(*arguments, "--top-k", 3)
    assert refused.code == 1
    assert "--overwrite" in refused.err
    again = modalweave(*arguments, "--top-k", 3, "--overwrite", "--format", "csv", "--titles", "--json")
    assert again.json()["rows"] == 6
    text = (finished / "some" / "part-00000.csv").read_text()
    assert text.splitlines()[0] == '"user_id","item_id","rank","score","source","title"'
    assert '"Item ' in text
    assert [path.name for path in sorted((finished / "some").iterdir())] == ["_manifest.json", "part-00000.csv"]
    store = f"ladybug:{finished / 'graph'}"
    told = modalweave(*arguments, "--top-k", 3, "--overwrite", "--format", "csv", "--write-back", store)
    assert told.code == 1
    assert "links are written from parquet" in told.err
    written = modalweave(*arguments, "--top-k", 3, "--overwrite", "--write-back", store, "--json")
    assert written.json()["written_back"] == 3


def test_without_a_trained_model_it_names_the_stage(config: Path, modalweave: Run) -> None:
    assert modalweave("build", config).code == 0
    told = modalweave("refit", config)
    assert told.code == 1
    assert "run `modalweave train` first" in told.err


def test_killed_it_goes_on_with_the_epochs_that_were_kept(
    config: Path, modalweave: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modalweave.stages import fitting

    settings = ("--set", "gnn.model=hetero", "--set", "gnn.epochs=30", "--set", "gnn.patience=1")
    settings += ("--set", "gnn.learning_rate=0.2", "--set", "gnn.embedding_dim=8")
    assert modalweave("build", config).code == 0
    kept = modalweave("train", config, *settings, "--json").json()["chosen"]["epochs"]
    assert kept < 30

    def killed(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    workspace = config.parent / "run"
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "save_bundle", killed)
        assert modalweave("refit", config).code == 130
        assert len(list((workspace / "checkpoints" / "refit").iterdir())) == 1
    told = modalweave("refit", config)
    assert told.code == 0, told.err
    assert f"goes on after epoch {kept} of at most {kept}" in told.err
    assert load_bundle(workspace / "serving").history.nnz == 420
    assert not (workspace / "checkpoints").exists()


def test_strengths_of_held_out_interactions_count_in_the_refit(config: Path, modalweave: Run) -> None:
    path = config.parent / "data" / "interactions.parquet"
    table = pq.read_table(path)
    weights = [1.0 + n % 9 for n in range(len(table))]
    pq.write_table(table.append_column("weight", pa.array(weights)), path)
    for command in ("build", "train", "refit"):
        assert modalweave(command, config).code == 0
    found = load_bundle(config.parent / "run" / "serving").history
    ids = {name: n for n, name in enumerate(load_bundle(config.parent / "run" / "serving").item_ids)}
    strongest = table["item_id"].to_pylist()[weights.index(9.0)]
    user = table["user_id"].to_pylist()[weights.index(9.0)]
    row = found[load_bundle(config.parent / "run" / "serving").user_ids.index(user)].toarray()[0]
    assert found.nnz == 420
    assert row[ids[strongest]] == pytest.approx(found.data.max())


@pytest.mark.parametrize("strategy", ["leave_last_out", "random", "global_time"])
def test_nothing_held_out_is_fitted_all_the_same(config: Path, modalweave: Run, strategy: str) -> None:
    holding = ("--set", "split.valid=0", "--set", "split.test=0", "--set", f"split.strategy={strategy}")
    done = modalweave("run", config, *holding)
    assert done.code == 0, done.err
    assert done.err.count("No validation interactions") == 1
    assert done.err.count("Not measured: split 'test' holds 0 interactions") == 1
    workspace = config.parent / "run"
    assert load_bundle(workspace / "bundle").history.nnz == 420
    assert manifest(workspace / "serving")["measured"]["metrics"] == {}
    assert json.loads((workspace / "validation.json").read_text())["metrics"] == {}
    assert pq.read_table(workspace / "scores" / "part-00000.parquet").num_rows > 0


def test_without_a_test_the_numbers_are_of_validation(config: Path, modalweave: Run) -> None:
    done = modalweave("run", config, "--set", "split.test=0", "--json")
    assert done.code == 0, done.err
    found = done.json()
    assert found["evaluate"] is None
    assert found["refit"]["measured"]["split"] == "valid"
    assert found["refit"]["measured"]["metrics"]["recall@5"]["mean"] > 0


def test_nothing_to_train_on_is_told_before_training(config: Path, modalweave: Run) -> None:
    (config.parent / "data" / "interactions.parquet").unlink()
    (config.parent / "data" / "interactions.csv").write_text("user_id,item_id,split\nu1,i01,test\n")
    assert modalweave("build", config, "--set", "split.strategy=given").code == 0
    told = modalweave("train", config)
    assert told.code == 1
    assert "holds 0 training interactions" in told.err
    assert not (config.parent / "run" / "bundle").exists()


FOUR = "user_id,item_id,timestamp\n"
FOUR += "ada,lamp,1700000000\nada,kettle,1700086400\nben,lamp,1700172800\ncleo,chair,1700259200\n"


def test_four_rows_run_to_the_end(tmp_path: Path, modalweave: Run) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "interactions.csv").write_text(FOUR)
    (tmp_path / "shop.yaml").write_text(
        f"name: shop\nsource: {{format: folder, path: {tmp_path / 'shop'}}}\nworkspace: {tmp_path / 'run'}\n"
        "gnn: {epochs: 2}\n"
    )
    done = modalweave("run", tmp_path / "shop.yaml")
    assert done.code == 0, done.err
    rows = pq.read_table(tmp_path / "run" / "scores" / "part-00000.parquet").to_pylist()
    pairs = {(row["user_id"], row["item_id"]) for row in rows}
    assert ("ben", "kettle") in pairs
    assert not pairs & {("ada", "lamp"), ("ada", "kettle"), ("ben", "lamp"), ("cleo", "chair")}
