"""A run from Python: the commands as methods, ids in and tables out."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import modalweave as mw
from graph.errors import QueryRefused
from tests.modalweave.conftest import write_dataset

COLUMNS = ["user_id", "item_id", "title", "rank", "score", "source"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> mw.Run:
    """A trained run over the small catalogue."""
    folder = tmp_path_factory.mktemp("run")
    write_dataset(folder / "data")
    run = mw.Run(
        {"source": {"path": str(folder / "data")}, "split": {"strategy": "leave_last_out"}},
        workspace=str(folder / "run"),
        progress=False,
        **{"gnn.model": "ease", "evaluation.k": [5, 10], "evaluation.resamples": 50},
    )
    run.build()
    run.train()
    return run


@pytest.fixture
def quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert capfd.readouterr() == ("", "")


def test_keywords_and_dotted_keys_override(config: Path) -> None:
    run = mw.open(config, seed=7, **{"gnn.ease.regularisation": 5.0, "evaluation.k": [3]})
    assert run.config.seed == 7
    assert list(run.config.evaluation.k) == [3]
    assert run.config.gnn.model == "ease"
    assert run.config.gnn.model_dump()["ease"]["regularisation"] == 5.0
    assert mw.open(str(config)).config.seed == 0
    assert mw.Run(run.config, seed=8).config.evaluation.k == run.config.evaluation.k


def test_a_mistaken_key_is_one_line(config: Path) -> None:
    with pytest.raises(mw.ConfigError, match="did you mean 'seed'") as error:
        mw.open(config, sed=1)
    assert "\n" not in str(error.value)
    with pytest.raises(mw.ConfigError, match="holds no keys"):
        mw.open(config, **{"gnn.model.of": 1})
    with pytest.raises(mw.ConfigError, match="no such config file"):
        mw.open(config.parent / "none.yaml")


def test_what_is_not_there_yet_names_the_stage(config: Path) -> None:
    run = mw.open(config, progress=False)
    assert repr(run) == f"Run(small, {config.parent / 'run'})"
    for question in (lambda: run.cypher("RETURN 1"), run.graph, run.train, lambda: run.explain("u01", "i01")):
        with pytest.raises(mw.RunError, match="modalweave build"):
            question()
    with pytest.raises(mw.RunError, match="modalweave train"):
        run.recommend(["u01"])


def test_results_are_typed_and_nothing_is_printed(run: mw.Run, quiet: None) -> None:
    assert run.build().written == 0
    found = run.evaluate()
    metric = found.metrics["recall@5"]
    assert metric.low <= metric.mean <= metric.high
    assert metric.mean > 2 * found.baselines["popularity"]["recall@5"].mean
    assert found.to_json() == json.loads(run.workspace.metrics.read_text())
    assert repr(run).endswith(", built, trained)")
    assert run.plan().fits


def test_recommendations_are_those_of_the_batch_job_with_titles(run: mw.Run, quiet: None) -> None:
    table = run.recommend(["u03", "u01", "u03"], k=4)
    assert table.columns == COLUMNS
    assert table["user_id"].to_list() == ["u03"] * 4 + ["u01"] * 4
    assert table["rank"].to_list() == [1, 2, 3, 4] * 2
    assert set(table["source"]) == {"model"}
    assert table["title"].to_list() == [f"Item {int(item[1:])}" for item in table["item_id"]]
    written = pl.read_parquet(Path(run.score().out) / "part-*.parquet").filter(pl.col("rank") <= 4)
    ours = table.filter(user_id="u01")
    assert ours["item_id"].to_list() == written.filter(user_id="u01").sort("rank")["item_id"].to_list()
    assert ours["score"].to_list() == written.filter(user_id="u01").sort("rank")["score"].to_list()


def test_a_loaded_model_names_its_items_without_a_store(run: mw.Run) -> None:
    table = mw.load(run.workspace.bundle).recommend(["u03"], k=4)
    assert table["title"].to_list() == [f"Item {int(item[1:])}" for item in table["item_id"]]


def test_one_user_may_be_given_alone(run: mw.Run) -> None:
    assert run.recommend("u01", k=2).equals(run.recommend(["u01"], k=2))


def test_unknown_ids_are_named_in_one_line(run: mw.Run) -> None:
    with pytest.raises(ValueError, match="unknown users 'nobody', 'x': the model knows 60 users") as error:
        run.recommend(["u01", "nobody", "x"])
    assert "\n" not in str(error.value)
    for question in (
        lambda: run.similar("gone", by="image"),
        lambda: run.similar("gone"),
        lambda: run.explain("u01", "gone"),
    ):
        with pytest.raises(mw.RunError, match="unknown item 'gone'"):
            question()
    with pytest.raises(mw.RunError, match="unknown user 'gone'"):
        run.explain("gone", "i01")


@pytest.mark.parametrize("by", ["image", "model"])
def test_alike_items_are_of_the_same_group(run: mw.Run, by: str) -> None:
    table = run.similar("i04", by=by, k=5)
    assert table.columns == ["item_id", "title", "rank", "score"]
    assert len(table) == 5 and "i04" not in table["item_id"]
    assert table["score"].is_sorted(descending=True)
    # pictures tell the group (0 to 3 in turn); people of a group choose within it
    assert {int(item[1:]) % 4 for item in table["item_id"]} == {0}
    assert table["title"][0] == f"Item {int(table['item_id'][0][1:])}"


def test_a_search_says_what_it_cannot_do(run: mw.Run) -> None:
    with pytest.raises(mw.RunError, match="use one of text, image, audio"):
        run.search("lamp", by="smell")
    with pytest.raises(Exception, match="no text vectors"):
        run.search("lamp")


def test_an_explanation_holds_sentences_and_shares(run: mw.Run) -> None:
    item = run.recommend("u01", k=1)["item_id"][0]
    found = run.explain("u01", item, limit=3)
    assert len(found.sentences) == 3
    assert found.model is not None and found.model.exact
    assert found._repr_html_().count("<tr>") == 4


def test_cypher_reads_with_parameters_and_limits_and_refuses_to_write(run: mw.Run) -> None:
    query = "MATCH (i:Item) WHERE i.id <= $last RETURN i.id AS item ORDER BY item"
    assert run.cypher(query, {"last": "i02"})["item"].to_list() == ["i00", "i01", "i02"]
    assert len(run.cypher(query, {"last": "i39"}, limit=7)) == 7
    with pytest.raises(QueryRefused):
        run.cypher("MATCH (i:Item) DETACH DELETE i")
    assert run.cypher("MATCH (i:Item) RETURN count(i) AS n")["n"].to_list() == [40]


def test_the_graph_is_tensors_with_ids(run: mw.Run) -> None:
    data = run.graph()
    assert data["Item"].ids[:2] == ["i00", "i01"]
    assert data["User", "INTERACTED", "Item"].edge_index.shape[1] > 200


def test_a_new_training_is_what_recommends(run: mw.Run) -> None:
    before = run.recommend("u01", k=3)
    other = mw.Run(run.config, progress=False, **{"gnn.model": "item_knn"})
    other.train()
    assert not run.recommend("u01", k=3)["score"].equals(before["score"])
    run.train()
    assert run.recommend("u01", k=3).equals(before)


def test_progress_is_told_unless_it_is_not_wanted(run: mw.Run, capfd: pytest.CaptureFixture[str]) -> None:
    mw.Run(run.config).graph()
    assert "Reading the graph" in capfd.readouterr().err
