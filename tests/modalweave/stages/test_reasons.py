"""Reasons in a batch job: the ways that `explain` finds one link at a time, in words, however they are made."""

import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

import modalweave as mw
from gnn.bundle.bundle import load_bundle
from graph.ladybug.store import LadybugStore
from graph.views.paths import GraphPath, explain_paths
from modalweave.config import load_config
from modalweave.progress import Stages
from modalweave.sample.catalogue import write_catalogue
from modalweave.stages.reasons import reasons
from scoring.reasons import Path as Way
from tests.modalweave.conftest import Outcome

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample catalogue with texts, pictures, makers and series, built and trained."""
    from modalweave.stages.build import build
    from modalweave.stages.train import train

    folder = tmp_path_factory.mktemp("reasons")
    write_catalogue(folder / "data", items=80, users=80, modalities=("text", "image"))
    path = folder / "shop.yaml"
    path.write_text(
        f"source: {{path: {folder / 'data'}}}\nworkspace: {folder / 'run'}\ngnn: {{model: graph_filter}}\n"
        "encoders: {text: lexical}\n"
    )
    config = load_config(path)
    build(config, strict=False, stages=Stages(quiet=True))
    train(config, stages=Stages(quiet=True))
    return path


def best(paths: list[GraphPath]) -> dict[tuple[str, str | None], GraphPath]:
    """The strongest of each kind, as `explain` orders them."""
    modality = {"Text": "text", "Image": "image", "Audio": "audio"}
    found: dict[tuple[str, str | None], GraphPath] = {}
    for path in paths:
        found.setdefault((path.kind, modality.get(path.nodes[2].label)), path)
    return found


def test_each_way_is_the_best_of_its_kind_that_explain_finds(built: Path) -> None:
    config = load_config(built)
    bundle = load_bundle(config.workspace / "bundle")
    found = reasons(config, config.workspace / "bundle", "en", Stages(quiet=True)).grounds
    pairs = [(u, i) for u in range(0, 80, 4) for i in range(0, 80, 5) if not bundle.seen[u, i]]
    users, items = (np.array(column) for column in zip(*pairs, strict=True))
    ways = found.paths(bundle.history, users, items, 99)
    compared = 0
    with LadybugStore(config.workspace / "graph", read_only=True) as store:
        for (user, item), mine in zip(pairs, ways, strict=True):
            theirs = best(explain_paths(store, bundle.user_ids[user], bundle.item_ids[item], limit=500))
            ours = {(way.kind, way.modality): way for way in mine}
            assert set(ours) - {("user", None)} == {key for key in theirs if key[0] != "user"}, (user, item)
            for key, way in ours.items():
                if key[0] == "user":
                    assert ("user", None) in theirs  # some other person did choose both
                elif key[0] == "entity":
                    assert way.entity == theirs[key].nodes[2].title and way.relations == theirs[key].relations
                    assert way.history == theirs[key].nodes[1].title
                else:
                    assert way.history == theirs[key].nodes[1].title
                compared += 1
    assert compared > 200


def score(modalweave: Run, built: Path, out: Path, *more: object) -> pl.DataFrame:
    done = modalweave("score", built, "--out", out, "--top-k", 5, *more)
    assert done.code == 0, done.err
    return pl.read_parquet(out / "part-*.parquet")


def test_a_job_says_why_in_either_language(built: Path, modalweave: Run, tmp_path: Path) -> None:
    english = score(modalweave, built, tmp_path / "en", "--reasons", "en")
    chinese = score(modalweave, built, tmp_path / "zh", "--reasons", "zh")
    plain = score(modalweave, built, tmp_path / "plain")
    assert english.drop("reason").equals(plain) and chinese.drop("reason").equals(plain)
    told = english["reason"].drop_nulls()
    assert len(told) > 0.9 * len(english)
    assert all(reason.endswith(".") and reason.count("you chose") + reason.count("as you did") >= 1 for reason in told)
    assert all(re.search(r"[\u4e00-\u9fff]", reason) for reason in chinese["reason"].drop_nulls())
    users = set(plain["user_id"])
    assert not any(users & set(re.findall(r"\w+", reason)) for reason in told)  # nobody's id


def test_processes_and_a_second_call_give_the_same_bytes(built: Path, modalweave: Run, tmp_path: Path) -> None:
    one = score(modalweave, built, tmp_path / "one", "--reasons", "en", "--shard-size", 20)
    two = score(modalweave, built, tmp_path / "two", "--reasons", "en", "--shard-size", 20, "--workers", 2)
    assert one.equals(two)
    parts = {path.name: path.read_bytes() for path in (tmp_path / "one").glob("part-*")}
    score(modalweave, built, tmp_path / "one", "--reasons", "en", "--shard-size", 20)
    assert parts == {path.name: path.read_bytes() for path in (tmp_path / "one").glob("part-*")}
    other = modalweave("score", built, "--out", tmp_path / "one", "--top-k", 5, "--reasons", "zh", "--shard-size", 20)
    assert other.code == 1 and "--overwrite" in other.err


def test_people_with_a_history_of_today_and_strangers(built: Path, modalweave: Run, tmp_path: Path) -> None:
    config = load_config(built)
    chosen = load_bundle(config.workspace / "bundle").item_ids[:3]
    pl.DataFrame({"user_id": ["new"] * 3, "item_id": chosen}).write_csv(tmp_path / "histories.csv")
    mine = score(modalweave, built, tmp_path / "new", "--reasons", "en", "--histories", tmp_path / "histories.csv")
    assert set(mine["user_id"]) == {"new"} and mine["reason"].null_count() < 5
    (tmp_path / "users.csv").write_text("user_id\nnobody\n")
    strange = score(modalweave, built, tmp_path / "who", "--reasons", "zh", "--users", tmp_path / "users.csv")
    assert set(strange["reason"]) == {"很多人都选了它。"}


def test_lists_in_a_notebook_say_why_as_the_job_does(built: Path, modalweave: Run, tmp_path: Path) -> None:
    run = mw.open(built, progress=False)
    found = run.recommend([f"u{n:03d}" for n in range(1, 6)], k=5, reasons="en")
    job = score(modalweave, built, tmp_path / "job", "--reasons", "en").join(found, on=["user_id", "item_id"])
    assert len(job) == 25 and job["reason"].to_list() == job["reason_right"].to_list()
    with pytest.raises(mw.RunError, match="people whom the model knows"):
        run.recommend(histories=[("new", found["item_id"][0])], reasons="en")


def test_a_bundle_without_its_run_is_told(built: Path, modalweave: Run, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(load_config(built).workspace / "bundle", tmp_path / "alone")
    done = modalweave("score", tmp_path / "alone", "--out", tmp_path / "out", "--reasons", "en")
    assert done.code == 1 and "name the run's config" in done.err


def test_one_sentence_is_made_once(built: Path) -> None:
    config = load_config(built)
    why = reasons(config, config.workspace / "bundle", "en", Stages(quiet=True))
    made: list[tuple[Way, ...]] = []
    counting = type(why)(why.grounds, lambda ways: str(made.append(tuple(ways))), "", "en", "")
    bundle = load_bundle(config.workspace / "bundle")
    users, items = np.repeat(np.arange(80), 10), np.tile(np.arange(10), 80)
    counting(bundle.history, users, items, np.full(800, "model", dtype=object))
    assert len(made) == len(set(made))
    assert all(len(list(of_kind)) == 1 for ways in made for _, of_kind in groupby(ways, lambda w: (w.kind, w.modality)))


def test_nobody_has_nothing(built: Path) -> None:
    config = load_config(built)
    why = reasons(config, config.workspace / "bundle", "en", Stages(quiet=True))
    empty = sp.csr_matrix((1, 80), dtype=np.float32)
    one = np.zeros(1, dtype=np.int64)
    assert why(empty, one, one, np.array(["model"], dtype=object)) == [None]
    assert why(empty, one, one, np.array(["popularity"], dtype=object)) == ["Many people choose it."]
