"""Every command's options end to end on one small run: exit codes, JSON, files and what people read."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from modalweave.config import load_config
from modalweave.progress import Stages
from modalweave.stages.build import build
from modalweave.stages.train import train
from tests.modalweave.conftest import Outcome, write_dataset

Cli = Callable[..., Outcome]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config whose graph is built and whose model is trained; tests only read it, or write elsewhere."""
    folder = tmp_path_factory.mktemp("ready")
    write_dataset(folder / "data")
    path = folder / "run.yaml"
    path.write_text(
        f"name: small\nsource: {{format: folder, path: {folder / 'data'}}}\nworkspace: {folder / 'run'}\n"
        "split: {strategy: leave_last_out}\nevaluation: {k: [5, 10], resamples: 50}\n"
        "gnn: {model: ease, ease: {regularisation: 10}}\n",
        encoding="utf-8",
    )
    config = load_config(path)
    build(config, strict=False, stages=Stages(quiet=True))
    train(config, stages=Stages(quiet=True))
    return path


@pytest.fixture
def bundle(ready: Path) -> Path:
    return ready.parent / "run" / "bundle"


def told(outcome: Outcome, *words: str) -> None:
    """Exit 1 and one line that holds every word."""
    assert outcome.code == 1, outcome.out
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("modalweave: ")]
    for word in words:
        assert word in line


def test_the_version_and_the_help(modalweave: Cli) -> None:
    import modalweave as package

    assert modalweave("--version") == Outcome(0, f"{package.__version__}\n", "")
    shown = modalweave("--help")
    assert shown.code == 0
    for command in ("build", "train", "evaluate", "score", "export", "cypher", "explain", "study", "tune", "doctor"):
        assert command in shown.out
    assert modalweave("score", "--help").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("bulid",),
        ("train",),
        ("evaluate", "x.yaml", "--split", "train"),
        ("export", "b", "--out", "o", "--precision", "float8"),
        ("score", "b", "--out", "o", "--top-k", "0"),
        ("score", "b"),
        ("tune", "x.yaml", "--trials", "0"),
        ("cache", "x.yaml", "--prune", "-1"),
        ("demo", "--items", "3"),
        ("explain", "x.yaml", "--user", "u"),
        ("stats", "--hops", "9"),
        ("cypher", "--limit", "0"),
        ("cypher", "--list", "--format", "xml"),
        ("doctor", "--plan"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2_before_anything_is_opened(arguments: tuple[str, ...], modalweave: Cli) -> None:
    outcome = modalweave(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert "Error" in outcome.err


class TestEvaluate:
    def test_the_split_asked_for_is_measured(self, ready: Path, modalweave: Cli) -> None:
        valid = modalweave("evaluate", ready, "--split", "valid", "--json").json()
        test = modalweave("evaluate", ready, "--json").json()
        assert (valid["split"], test["split"]) == ("valid", "test")
        assert valid["metrics"] != test["metrics"]
        assert json.loads((ready.parent / "run" / "metrics.json").read_text()) == test, "the last one stays"

    def test_depths_may_be_set_and_are_what_is_shown(self, ready: Path, modalweave: Cli) -> None:
        found = modalweave("evaluate", ready, "--set", "evaluation.k=[3]", "--json").json()
        assert found["k"] == [3]
        assert {name.partition("@")[2] for name in found["metrics"]} == {"3", ""}
        shown = modalweave("evaluate", ready, "--set", "evaluation.k=[3]")
        assert shown.code == 0 and "Metrics on test" in shown.out and "popularity" in shown.out
        assert "recall@3" in shown.out and "recall@5" not in shown.out


class TestScore:
    def test_users_length_and_shards(self, bundle: Path, modalweave: Cli, tmp_path: Path) -> None:
        wanted = tmp_path / "users.txt"
        wanted.write_text("u07\nu01\nu33\n")
        options = ("--top-k", 2, "--users", wanted, "--shard-size", 2)
        done = modalweave("score", bundle, "--out", tmp_path / "out", *options, "--json").json()
        assert (done["users"], done["rows"], len(done["parts"])) == (3, 6, 2)
        table = pl.concat([pl.read_parquet(tmp_path / "out" / name) for name in sorted(done["parts"])])
        assert set(table["user_id"]) == {"u01", "u07", "u33"}
        assert set(table["rank"]) == {1, 2}
        shown = modalweave("score", bundle, "--out", tmp_path / "out", *options)
        assert (shown.code, shown.out.split(" in ")[0]) == (0, "6 links"), "the same call goes on where it is done"

    def test_other_options_do_not_mix_with_what_is_there(self, bundle: Path, modalweave: Cli, tmp_path: Path) -> None:
        assert modalweave("score", bundle, "--out", tmp_path / "out", "--top-k", 2).code == 0
        before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        told(modalweave("score", bundle, "--out", tmp_path / "out", "--top-k", 3), "top_k")
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before

    def test_what_is_not_there_is_one_line(self, bundle: Path, modalweave: Cli, tmp_path: Path) -> None:
        told(modalweave("score", tmp_path / "none", "--out", tmp_path / "out"), "no manifest.json")
        told(modalweave("score", bundle, "--out", tmp_path / "o", "--users", tmp_path / "none.txt"), "none.txt")
        (tmp_path / "users.txt").write_text("u01\nnobody\n")
        users = ("--users", tmp_path / "users.txt")
        told(modalweave("score", bundle, "--out", tmp_path / "o", *users, "--strict"), "nobody")
        assert not list((tmp_path / "o").glob("*.parquet"))


class TestExport:
    @pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
    def test_a_copy_says_how_well_it_agrees(
        self, precision: str, bundle: Path, modalweave: Cli, tmp_path: Path
    ) -> None:
        done = modalweave(
            "export", bundle, "--out", tmp_path / "o", "--precision", precision, "--onnx", "--json"
        ).json()
        assert done["precision"] == precision
        assert done["agreement"].keys() == {"bundle", "onnx"}
        for way in done["agreement"].values():
            assert way["top20_overlap"] > 0.9
        assert (tmp_path / "o" / "scorer.onnx").is_file()
        scored = modalweave("score", tmp_path / "o", "--out", tmp_path / "scores", "--top-k", 1, "--json").json()
        assert (scored["users"], scored["bundle"]) == (60, done["bundle"])

    def test_it_is_told_a_line_a_fact(self, bundle: Path, modalweave: Cli, tmp_path: Path) -> None:
        lines = modalweave("export", bundle, "--out", tmp_path / "o").out.splitlines()
        assert [line.partition(":")[0] for line in lines] == ["bundle", "source", "precision", "bytes", "agreement"]

    def test_a_folder_of_other_things_is_left_alone(self, bundle: Path, modalweave: Cli, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        told(modalweave("export", bundle, "--out", tmp_path), "holds other files")
        assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


class TestCypher:
    QUERY = "MATCH (i:Item) WHERE i.id IN $ids RETURN i.id AS id, i.title AS title ORDER BY id"

    def test_parameters_are_texts_or_json(self, ready: Path, modalweave: Cli) -> None:
        found = modalweave("cypher", self.QUERY, ready, "--param", 'ids:=["i03", "i01"]', "--json").json()
        assert found == {
            "columns": ["id", "title"],
            "rows": [{"id": "i01", "title": "Item 1"}, {"id": "i03", "title": "Item 3"}],
        }
        one = "MATCH (i:Item {id: $id}) RETURN i.title AS title"
        assert modalweave("cypher", one, "--config", ready, "--param", "id=i05", "--json").json()["rows"] == [
            {"title": "Item 5"}
        ]

    @pytest.mark.parametrize("parameter", ["ids", "=x", ":=3", "ids:=[1"])
    def test_a_parameter_that_is_none_is_wrong_usage(self, parameter: str, ready: Path, modalweave: Cli) -> None:
        outcome = modalweave("cypher", self.QUERY, ready, "--param", parameter)
        assert outcome.code == 2
        assert "key=value" in outcome.err

    def test_rows_go_to_a_file_by_its_ending(self, ready: Path, modalweave: Cli, tmp_path: Path) -> None:
        query = "MATCH (i:Item) RETURN i.id AS id ORDER BY id"
        done = modalweave("cypher", query, ready, "--limit", 3, "--out", tmp_path / "rows.csv", "--json")
        assert done.json() == {"out": str(tmp_path / "rows.csv"), "rows": 3}
        assert pl.read_csv(tmp_path / "rows.csv")["id"].to_list() == ["i00", "i01", "i02"]
        assert modalweave("cypher", query, ready, "--limit", 2, "--format", "csv").out == '"id"\n"i00"\n"i01"\n'

    def test_a_table_cuts_what_is_long_and_counts_the_rows(self, ready: Path, modalweave: Cli) -> None:
        query = "MATCH (i:Item) RETURN collect(i.id) AS ids, avg(size(i.id)) / 7 AS share"
        shown = modalweave("cypher", query, ready).out
        assert "…" in shown and "0.4286" in shown
        assert shown.splitlines()[-1] == "1 rows"

    def test_the_cookbook_is_listed_without_a_store(self, modalweave: Cli) -> None:
        listed = modalweave("cypher", "--list", "--json").json()
        assert len(listed) > 10
        assert all(recipe["description"] and isinstance(recipe["parameters"], dict) for recipe in listed.values())
        shown = modalweave("cypher", "--list").out
        assert min(listed, key=len) in shown, "a longer name may be folded"

    @pytest.mark.parametrize(
        ("arguments", "code", "word"),
        [
            (("--name", "taste-neighbour"), 1, "taste-neighbour"),
            ((), 2, "give a query"),
            (("RETURN 1 AS a", "RETURN 2 AS b"), 2, "one query at a time"),
            (("RETURN 1 AS a", "--name", "x"), 2, "one of the two"),
            (("RETURN 1 AS a", "--out", "x.txt"), 1, "no format ends in"),
            (("RETURN 1 AS a", "--format", "parquet"), 1, "name a file"),
            (("RETURN 1 AS a", "--plot", "x.png"), 1, "no nodes to draw"),
            (("MATCH (i:Item) WHERE i.id = 'none' RETURN i", "--plot", "x.png"), 1, "no nodes to draw"),
            (("MATCH (i:Item) RETURN i LIMIT 1", "--plot", "x.gif"), 1, "'.gif' is no picture"),
        ],
        ids=lambda value: value if isinstance(value, str) else None,
    )
    def test_what_cannot_be_answered(
        self, arguments: tuple[str, ...], code: int, word: str, ready: Path, modalweave: Cli
    ) -> None:
        outcome = modalweave("cypher", *arguments, "--config", ready)
        assert outcome.code == code, outcome.out
        assert word in " ".join(outcome.err.replace("│", " ").split())

    def test_without_a_store_or_config_it_says_what_to_give(self, modalweave: Cli) -> None:
        told(modalweave("cypher", "RETURN 1 AS a"), "give --store ladybug:PATH")


class TestExplain:
    def test_at_most_so_many_paths_and_all_of_the_score(self, ready: Path, modalweave: Cli) -> None:
        found = modalweave("explain", ready, "--user", "u01", "--item", "i05", "--limit", 2, "--json").json()
        assert len(found["paths"]) <= 2
        model = found["model"]
        whole = sum(row["contribution"] for row in model["history"]) + model["others"] + sum(model["rest"].values())
        assert whole == pytest.approx(model["score"])

    def test_for_people_it_is_a_table_and_a_query_to_paste(self, ready: Path, modalweave: Cli) -> None:
        shown = modalweave("explain", ready, "--user", "u01", "--item", "i05").out
        for words in ("Why i05 for u01", "taken apart exactly", "In Neo4j Browser", ":params {user: "):
            assert words in shown

    def test_a_stranger_to_the_graph_is_named(self, ready: Path, modalweave: Cli) -> None:
        told(modalweave("explain", ready, "--user", "nobody", "--item", "i05"), "nobody")
        told(modalweave("explain", ready, "--user", "u01", "--item", "nothing"), "nothing")

    def test_a_model_elsewhere_may_be_named(self, ready: Path, bundle: Path, modalweave: Cli, tmp_path: Path) -> None:
        store = f"ladybug:{ready.parent / 'run' / 'graph'}"
        asked = ("explain", "--store", store, "--user", "u01", "--item", "i05", "--json")
        assert modalweave(*asked).json()["model"] is None
        assert modalweave(*asked, "--bundle", bundle).json()["model"]["score"] > 0
        told(modalweave(*asked, "--bundle", tmp_path), "no manifest.json")


def test_the_cache_tells_its_size_and_shrinks(ready: Path, modalweave: Cli) -> None:
    found = modalweave("cache", ready, "--json").json()
    assert found["removed_bytes"] == 0
    assert found["bytes"] == sum(entry["bytes"] for entry in found["encoders"])
    shown = modalweave("cache", ready).out
    assert "MB in" in shown and "0 bytes removed" in " ".join(shown.split())


def test_doctor_checks_the_run_it_is_given(ready: Path, modalweave: Cli) -> None:
    checks = {check["name"]: check for check in modalweave("doctor", ready, "--json").json()["checks"]}
    assert checks["python"]["state"] == "ok"
    assert checks["store"]["state"] == "ok" and "nodes" in checks["store"]["found"]
    shown = modalweave("doctor", ready).out
    assert "what to do" in shown and "store" in shown


def test_a_study_lists_its_variants_and_runs_none(ready: Path, modalweave: Cli) -> None:
    before = sorted(path.name for path in (ready.parent / "run").iterdir())
    shown = modalweave("study", ready, "--list")
    assert shown.code == 0
    for name in ("popularity", "joint", "no_media", "no_related"):
        assert name in shown.out
    assert sorted(path.name for path in (ready.parent / "run").iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("study", "--variants", "jiont"), "'jiont'"),
        (("study", "--seeds", "0,x"), "study.seeds"),
        (("study", "--seeds", ""), "study.seeds"),
        (("tune", "--set", "tune.space={seed: [1, 2]}"), "'seed'"),
        (("train", "--set", "gnn.model=eas"), "'ease'"),
        (("train", "--set", "gnn"), "key.subkey=value"),
        (("evaluate", "--set", "evaluation.k=[0]"), "evaluation.k"),
        (("build", "--neo4j-home", "x", "--bulk"), "ladybug"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_value_that_cannot_be_is_one_line(
    arguments: tuple[str, ...], word: str, ready: Path, modalweave: Cli
) -> None:
    command, *options = arguments
    told(modalweave(command, ready, *options), word)
