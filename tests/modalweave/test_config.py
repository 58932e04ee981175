"""What a user relies on in a config: defaults, overrides, and errors that name the key."""

from pathlib import Path

import pytest

from modalweave.config import dump_config, load_config, parse_config
from modalweave.errors import ConfigError

MINIMAL = "source: {format: folder, path: data/x}\n"


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(MINIMAL + "name: shop\n", encoding="utf-8")
    return path


def test_everything_but_the_source_has_a_default(config_file: Path) -> None:
    config = load_config(config_file)
    assert config.workspace == Path("runs/shop")
    assert config.store_address == f"ladybug:{Path('runs/shop/graph')}"
    assert config.evaluation.k == [10, 20]
    assert config.seed == 0


def test_set_overrides_one_nested_key(config_file: Path) -> None:
    config = load_config(config_file, ["gnn.embedding_dim=128", "store=bolt://db:7687", "evaluation.k=[20, 5]"])
    assert config.gnn.embedding_dim == 128
    assert config.store_address == "bolt://db:7687"
    assert config.evaluation.k == [5, 20]


def test_the_resolved_config_reads_back_as_itself(config_file: Path, tmp_path: Path) -> None:
    config = load_config(config_file, ["seed=7"])
    again = tmp_path / "again.yaml"
    again.write_text(dump_config(config), encoding="utf-8")
    assert load_config(again) == config


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (MINIMAL + "evalution: {k: [10]}\n", "unknown key 'evalution'.*did you mean 'evaluation'"),
        (MINIMAL + "gnn: {embeding_dim: 3}\n", "unknown key 'gnn.embeding_dim'.*value 3.*did you mean 'embedding_dim'"),
        ("name: x\n", "key 'source' is missing"),
        (MINIMAL + "seed: -3\n", "seed: .*value -3"),
        (MINIMAL + "name: ../up\n", "name: .*'../up'"),
        (MINIMAL + "encoders: {smell: x}\n", "unknown modality 'smell'"),
        (MINIMAL + "encoders: {text: bert}\n", r"encoders\.text: encoder 'bert' is unknown; use one of minilm"),
        (MINIMAL + "encoders: {text: minillm}\n", r"encoders\.text: .*did you mean 'minilm'"),
        (MINIMAL + "encoders: {audio: {name: logmel, mel: 3}}\n", r"encoders\.audio: .*mel: no such setting.*'mels'"),
        (MINIMAL + "encoders: {audio: {mels: 3}}\n", r"encoders\.audio: an encoder wants a name"),
        (
            "source: {format: parquet, path: x}\n",
            r"source\.format: source format 'parquet' is unknown; use one of folder",
        ),
        ("[1, 2]\n", "a config is a mapping"),
        ("a: [1\n", "not readable as YAML"),
    ],
)
def test_errors_name_the_key_and_its_value_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)
    assert "bad.yaml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such config file"):
        load_config(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("override", ["seed", "=3", "seed.deep=1", "gnn=[1"])
def test_a_bad_override_is_named(config_file: Path, override: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        load_config(config_file, ["seed=1", override])


def test_null_leaves_a_modality_out() -> None:
    config = parse_config({"source": {"format": "folder", "path": "x"}, "encoders": {"audio": None}})
    assert config.encoders["audio"] is None
    assert config.encoders["text"] == "auto"
