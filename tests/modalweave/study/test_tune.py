"""`modalweave tune`: chosen on validation, resumable, repeatable, and what it writes is a config."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Run = Callable[..., Any]
SPACE = "tune.space={gnn.ease.regularisation: {low: 1, high: 1000, log: true}}"
NETWORK = "gnn={model: hetero, embedding_dim: 8, epochs: 2}"


@pytest.fixture
def built(config: Path, modalweave: Run) -> Path:
    assert modalweave("build", config).code == 0
    return config


def settings(result: dict[str, Any]) -> list[Any]:
    return [(trial["settings"], trial["quality"]) for trial in result["trials"]]


def test_the_best_trial_is_a_config_that_train_accepts(built: Path, modalweave: Run) -> None:
    done = modalweave("tune", built, "--trials", 6, "--set", SPACE, "--json")
    assert done.code == 0, done.err
    result = done.json()
    assert len(result["trials"]) == 6
    assert result["trials"][0]["settings"] == {}
    assert result["best"]["quality"] == max(quality for _, quality in settings(result))
    written = yaml.safe_load(Path(result["config"]).read_text())
    assert written["gnn"]["ease"]["regularisation"] == result["best"]["settings"].get("gnn.ease.regularisation")
    trained = modalweave("train", result["config"], "--json")
    assert trained.code == 0, trained.err


def test_a_search_that_was_stopped_ends_like_one_that_ran_through(built: Path, modalweave: Run, tmp_path: Path) -> None:
    command = ("tune", built, "--set", SPACE, "--json")
    first = modalweave(*command, "--trials", 4).json()
    journal = built.parent / "run" / "tune" / "journal.log"
    with journal.open("a") as file:
        file.write('{"op_code": 4, "worker')  # killed in the middle of a line
    stopped = modalweave(*command, "--trials", 11).json()
    assert settings(stopped)[:4] == settings(first)
    journal.unlink()
    whole = modalweave(*command, "--trials", 11).json()
    assert settings(whole) == settings(stopped)
    again = modalweave(*command, "--trials", 11).json()
    assert [trial["seconds"] for trial in again["trials"]] == [trial["seconds"] for trial in whole["trials"]]


@pytest.mark.parametrize("torn", ["", '{"op_code": 4, "worker'])
def test_mending_the_journal_never_takes_a_whole_line(tmp_path: Path, torn: str) -> None:
    """Every write fails here, as at a kill or on a full disk: what was whole before must be there afterwards."""
    journal = tmp_path / "journal.log"
    whole = '{"op_code": 0}\n{"op_code": 4}\n'
    journal.write_text(whole + torn)
    code = (
        "import resource, sys; from pathlib import Path; from modalweave.study.tune import cut_torn_line;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); cut_torn_line(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(journal)], capture_output=True, check=False)
    assert journal.read_text() == whole


def test_a_trial_that_was_killed_is_left_out(built: Path, modalweave: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from gnn.closed_form.ease import EASE

    command = ("tune", built, "--set", SPACE, "--json", "--trials", 4)
    fit, calls = EASE.fit, []

    def killed(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)

    monkeypatch.setattr(EASE, "fit", killed)
    assert modalweave(*command).code == 130
    resumed = modalweave(*command).json()
    assert len(calls) == 5
    (built.parent / "run" / "tune" / "journal.log").unlink()
    assert settings(modalweave(*command).json()) == settings(resumed)


def test_another_seed_or_space_is_another_search(built: Path, modalweave: Run) -> None:
    first = modalweave("tune", built, "--set", SPACE, "--trials", 3, "--json").json()
    other = modalweave("tune", built, "--set", SPACE, "--trials", 3, "--set", "seed=1", "--json").json()
    assert settings(first)[1:] != settings(other)[1:]
    chosen = modalweave(
        "tune", built, "--set", "tune.space={gnn.ease.regularisation: [5, 50]}", "--trials", 3, "--json"
    )
    assert {t["settings"]["gnn.ease.regularisation"] for t in chosen.json()["trials"][1:]} <= {5, 50}


def test_under_auto_one_network_a_trial_is_searched_and_auto_is_written(built: Path, modalweave: Run) -> None:
    options = ("--set", "gnn={model: auto, embedding_dim: 8, epochs: 2}", "--trials", 3)
    result = modalweave("tune", built, *options, "--json").json()
    assert "gnn.learning_rate" in result["trials"][1]["settings"]
    written = yaml.safe_load(Path(result["config"]).read_text())
    assert written["gnn"]["model"] == "auto"
    assert written["gnn"]["epochs"] == 2
    assert json.loads((built.parent / "run" / "tune" / "trials.json").read_text())["best"] == result["best"]


@pytest.mark.parametrize(
    ("space", "named"),
    [
        ("tune.space={gnn.layres: [1, 2]}", "layres"),
        ("tune.space={gnn.layers: [1, -2]}", "-2"),
        ("tune.space={seed: [1, 2]}", "seed"),
        ("tune.space={gnn.temperature: {low: 2, high: 1}}", "low 2 and high 1"),
        ("gnn.model=popularity", "popularity"),
    ],
)
def test_a_space_that_cannot_be_searched_is_one_line(built: Path, modalweave: Run, space: str, named: str) -> None:
    refused = modalweave("tune", built, "--set", NETWORK, "--set", space, "--json")
    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert named in refused.err
