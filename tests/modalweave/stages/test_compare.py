"""Runs side by side: the same split or none, numbers as ranx and trec_eval give them, whose lists changed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modalweave as mw
from tests.modalweave.conftest import write_dataset

Command = Callable[..., Any]
RANX = """
import json, sys, ranx
qrels, run = ranx.Qrels.from_file(sys.argv[1], kind="trec"), ranx.Run.from_file(sys.argv[2], kind="trec")
print(json.dumps(ranx.evaluate(qrels, run, sys.argv[3:], make_comparable=True)))
"""


def a_run(folder: Path, name: str, model: str, strategy: str = "leave_last_out") -> Path:
    """A config over the small catalogue, built and trained in a workspace of its own."""
    path = folder / f"{name}.yaml"
    path.write_text(
        f"name: {name}\nsource: {{format: folder, path: {folder / 'data'}}}\nworkspace: {folder / name}\n"
        f"split: {{strategy: {strategy}}}\nevaluation: {{k: [5, 10], resamples: 50}}\ngnn: {{model: {model}}}\n"
    )
    run = mw.open(path)
    run.build()
    run.train()
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Popularity and EASE on one split."""
    folder = tmp_path_factory.mktemp("compare")
    write_dataset(folder / "data")
    return [a_run(folder, "popular", "popularity"), a_run(folder, "ease", "ease")]


def test_two_runs_side_by_side(runs: list[Path], modalweave: Command) -> None:
    """By config or workspace; the differences are those of the two evaluations; readers of TREC files agree."""
    workspace, trec = runs[1].parent / "ease", runs[1].parent / "trec"
    found = modalweave("compare", runs[0], workspace, "--trec", trec, "--users", 3, "--json").json()
    alone = [modalweave("evaluate", path, "--json").json()["metrics"] for path in runs]
    assert [run["name"] for run in found["runs"]] == ["popular", "ease"]
    assert [run["metrics"] for run in found["runs"]] == alone
    assert len(found["differences"]) == len(alone[0])
    for row in found["differences"]:
        assert row["difference"] == pytest.approx(alone[1][row["metric"]]["mean"] - alone[0][row["metric"]]["mean"])
        assert row["verdict"] == "better" and row["ci95"][0] > 0  # pictures and makers tell the groups apart
    assert {row["group"] for row in found["slices"]} >= {"user_activity", "item_popularity"}
    (lists,) = found["lists"]
    assert len(lists["users"]) == 3 and lists["gained"] + lists["lost"] + lists["same"] == found["users"]
    assert [user["rbo"] for user in lists["users"]] == sorted(user["rbo"] for user in lists["users"])
    most = lists["users"][0]
    assert most["gone"][0]["title"] == f"Item {int(most['gone'][0]['id'][1:])}" and len(most["gone"]) == len(
        most["new"]
    )
    page = (runs[0].parent / "popular" / "compare.html").read_text()
    assert "ease against popular" in page and most["user"] in page
    readers_agree(trec, found)


def readers_agree(trec: Path, found: dict[str, Any]) -> None:
    """`ranx` and `ir-measures` (trec_eval) on the files, to 1e-6."""
    ir_measures = pytest.importorskip("ir_measures")
    names = {"recall@10": "R@10", "precision@5": "P@5", "ndcg@10": "nDCG@10", "map@10": "AP@10", "hit@5": "Success@5"}
    ours = {run["name"]: {m: value["mean"] for m, value in run["metrics"].items()} for run in found["runs"]}
    measures = {ours: ir_measures.parse_measure(theirs) for ours, theirs in names.items()}
    for name, values in ours.items():
        held = list(ir_measures.read_trec_qrels(str(trec / "qrels.txt")))
        listed = list(ir_measures.read_trec_run(str(trec / f"{name}.run")))
        theirs = ir_measures.calc_aggregate(measures.values(), held, listed)
        assert {m: theirs[measure] for m, measure in measures.items()} == pytest.approx(
            {m: values[m] for m in measures}, abs=1e-6
        )
        asked = ["recall@5", "precision@10", "f1@10", "ndcg@5", "map@5"]
        assert ranx(trec / "qrels.txt", trec / f"{name}.run", asked) == pytest.approx(
            {m: values[m] for m in asked}, abs=1e-6
        )


def ranx(qrels: Path, run: Path, measures: list[str]) -> Any:
    """In a process of its own: ten lists are not worth a minute of compiling, and Numba must know before it starts."""
    pytest.importorskip("ranx")
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", RANX, str(qrels), str(run), *measures]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def test_runs_of_other_splits_are_refused(runs: list[Path], modalweave: Command) -> None:
    other = a_run(runs[1].parent, "drawn", "ease", "random")
    done = modalweave("compare", runs[1], other)
    assert done.code == 1 and done.err.count("\n") <= 6
    assert "ease and drawn are of different test splits: of 60 and" in done.err


def test_wrong_calls(config: Path, modalweave: Command) -> None:
    assert modalweave("compare", config).code == 2
    done = modalweave("compare", config, config.parent / "data")
    assert done.code == 1 and "no run, so its graph with held-out interactions is not known" in done.err


def test_people_read_who_is_ahead_and_whose_lists_changed(runs: list[Path], modalweave: Command) -> None:
    shown = modalweave("compare", *runs, "--users", 1, "--out", runs[0].parent / "page.html")
    assert shown.code == 0
    text = " ".join(shown.out.split())
    assert "ease against popular: ahead in recall@5" in text and "changed most" in text and "and 5 more" in text
    assert (runs[0].parent / "page.html").exists()


def test_the_same_run_twice_is_told_apart_by_number(runs: list[Path], modalweave: Command) -> None:
    same = modalweave("compare", runs[1], runs[1], "--out", runs[1].parent / "same.html", "--json").json()
    assert [run["name"] for run in same["runs"]] == ["ease-1", "ease-2"]
    assert {row["verdict"] for row in same["differences"]} == {"unclear"}
    assert same["lists"][0]["rbo"]["mean"] == pytest.approx(1.0) and same["lists"][0]["users"] == []
