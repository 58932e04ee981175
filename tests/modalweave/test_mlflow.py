"""A bundle that MLflow loads: by what `MLmodel` says, as MLflow does, and by MLflow itself where it is installed."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
import yaml

from gnn.bundle.bundle import load_bundle
from scoring.config import ScoringConfig
from scoring.job import run_job
from tests.modalweave.conftest import Outcome


@pytest.fixture
def exported(modalweave: Callable[..., Outcome], config: Path, tmp_path: Path) -> Path:
    for stage in ("build", "train"):
        assert modalweave(stage, config, "--json").code == 0
    assert modalweave("export", config, "--out", tmp_path / "out", "--mlflow", "--json").code == 0
    return tmp_path / "out"


def loaded(folder: Path) -> Any:
    """As `mlflow.pyfunc.load_model` finds and calls the loader."""
    flavor = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["python_function"]
    return importlib.import_module(flavor["loader_module"])._load_pyfunc(str(folder))


def test_lists_are_those_of_score(exported: Path, tmp_path: Path) -> None:
    users = ["u03", "nobody", "u00", "u03"]
    found = loaded(exported).predict(pd.DataFrame({"user_id": users}), {"k": 4})
    run_job(exported, tmp_path / "scores", ScoringConfig(top_k=4), users=users)
    wanted = pl.read_parquet(tmp_path / "scores" / "part-*.parquet")
    assert pl.from_pandas(found.iloc[:12]).select(pl.all().exclude("score")).rows() == wanted.drop("score").rows()
    assert found["score"].iloc[:12].to_list() == wanted["score"].to_list()
    assert found.iloc[12:].reset_index(drop=True).equals(found.iloc[:4]), "asked twice, answered twice"


def test_the_signature_says_what_goes_in_and_out(exported: Path) -> None:
    signature = yaml.safe_load((exported / "MLmodel").read_text())["signature"]
    found = loaded(exported).predict(["u00"])
    assert [column["name"] for column in json.loads(signature["outputs"])] == list(found.columns)
    assert len(found) == json.loads(signature["params"])[0]["default"]


def test_what_the_registry_leaves_does_no_harm_and_other_changes_do(exported: Path) -> None:
    (exported / "registered_model_meta").write_text("model_name: shop")
    load_bundle(exported)
    (exported / "MLmodel").write_text("flavors: {python_function: {loader_module: os}}")
    with pytest.raises(Exception, match="MLmodel does not match its hash"):
        load_bundle(exported)


def test_mlflow_itself_loads_it(exported: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    found = mlflow.pyfunc.load_model(str(exported)).predict(pd.DataFrame({"user_id": ["u00"]}), params={"k": 3})
    assert len(found) == 3
