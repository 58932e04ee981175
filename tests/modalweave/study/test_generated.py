"""What facts by a language model are worth: a taste that stands in free text alone is found where it is read,
and nothing is claimed where the model answers nonsense."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

from graph.generated import has_generated, items_by_origin, without_generated
from graph.hetero import graph_hash
from modalweave.config import RunConfig, parse_config
from modalweave.progress import Stages
from modalweave.stages.build import build
from modalweave.stages.inputs import read_graph
from modalweave.study.study import compare_variants, listed
from tests.chat_server import Asked, ChatServer
from tests.modalweave.study.study_cases import quick

ITEMS, USERS, TASTES = 120, 240, 8
WORDS = ("lamp", "quiet", "fine", "old", "round", "tall", "bright", "soft", "plain", "small")


def write(folder: Path) -> None:
    """Each item's text tells its taste by the sum of a batch number's digits, among words that say nothing."""
    rng = np.random.default_rng(11)
    taste = np.arange(ITEMS) % TASTES
    pairs = []
    for user in range(USERS):
        weight = np.where(taste == user % TASTES, 21.0, 1.0)
        weight[user % ITEMS] = 0
        liked = [user % ITEMS, *(int(i) for i in rng.choice(ITEMS, 5, replace=False, p=weight / weight.sum()))]
        splits = ["train", "train", "valid", "test", "test", "test"]
        pairs += [(f"u{user:03d}", f"i{item:03d}", split) for item, split in zip(liked, splits, strict=True)]
    folder.mkdir(parents=True)
    columns = ["user_id", "item_id", "split"]
    pl.DataFrame(pairs, schema=columns, orient="row").write_parquet(folder / "interactions.parquet")
    texts = []
    for item in range(ITEMS):
        digits = [int(d) for d in rng.integers(0, 10, 5)]
        digits.append((taste[item] - sum(digits)) % TASTES)
        said = f"{' '.join(rng.choice(WORDS, 8))}, batch {''.join(map(str, digits))}"
        texts.append({"item_id": f"i{item:03d}", "modality": "text", "content": said})
    pl.DataFrame(texts).write_parquet(folder / "media.parquet")


def reads(asked: Asked) -> object:
    """A model that reads the batch number as it is meant."""
    (text,) = asked.record["texts"]
    number = text.rpartition(" ")[2]
    if asked.task == "summary":
        return {"summary": f"A lamp, {text[:20]}"}
    return {"family": [{"value": f"family {sum(map(int, number)) % TASTES}", "evidence": f"batch {number}"}]}


def nonsense(asked: Asked) -> object:
    """A model that answers anything."""
    drawn = int(hashlib.sha256(json.dumps(asked.record).encode()).hexdigest(), 16) % TASTES
    return {"family": [{"value": f"family {drawn}", "evidence": "batch"}]}


def built(folder: Path, model: Callable[[Asked], object], **study: object) -> RunConfig:
    if not (folder / "data").exists():
        write(folder / "data")
    config = parse_config(
        quick(folder / "run", **study).model_dump(mode="json", exclude_unset=True)
        | {
            "source": {"path": str(folder / "data")},
            "encoders": {"text": "lexical"},
            "language_model": ChatServer(model).config,
            "enrich": {"triples": {"relations": {"family": {"meaning": "the family of its batch"}}}},
        }
    )
    build(config, strict=True, stages=Stages(quiet=True))
    return config


def effects(config: RunConfig) -> tuple[dict[str, Any], str]:
    data = read_graph(config, Stages(quiet=True))
    result = compare_variants(config, data, split="test", stages=Stages(quiet=True)).to_json()
    return {row["name"]: row for row in result["effects"]}, " ".join(result["findings"])


def test_facts_that_are_read_well_help_and_are_claimed(tmp_path: Path) -> None:
    found, said = effects(built(tmp_path, reads, variants=("joint", "no_generated_triples")))
    assert found["generated_triples"]["verdict"] == "better", found
    assert "The generated facts help here: recall@10 rises by" in said


def test_nonsense_is_not_claimed_to_help(tmp_path: Path) -> None:
    found, said = effects(built(tmp_path, nonsense, variants=("joint", "no_generated_triples")))
    assert found["generated_triples"]["verdict"] != "better", found
    assert "The generated facts help here" not in said


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """Facts and summaries, the latter of items with a text of their own."""
    folder = tmp_path_factory.mktemp("generated")
    config = built(folder, reads)
    enrich = config.enrich.model_copy(update={"summary": {"longer_than": 10}})
    whole = parse_config({**config.model_dump(mode="json"), "enrich": enrich.model_dump(mode="json", warnings=False)})
    build(whole, strict=True, stages=Stages(quiet=True))
    return whole


@pytest.fixture(scope="module")
def data(config: RunConfig) -> HeteroData:
    return read_graph(config, Stages(quiet=True))


def test_the_variants_that_a_study_has_for_it(config: RunConfig) -> None:
    names = {v.name for v in listed(config, Stages(quiet=True)).variants}
    assert {"no_generated_texts", "no_generated_triples", "no_generated"} <= names


def test_the_graph_without_them(data: HeteroData) -> None:
    assert has_generated(data, "texts") and has_generated(data, "triples")
    written, own = items_by_origin(data, "texts")
    assert written.all() and own.all()
    bare = without_generated(data, ("texts", "triples"))
    assert bare["Item", "RELATED", "Entity"].edge_index.shape == (2, 0)
    assert bare["Item", "RELATED", "Entity"].relation.shape == (0,)
    assert bare["Item", "HAS_TEXT", "Text"].edge_index.shape == (2, ITEMS)
    kept = torch.zeros(int(data["Text"].num_nodes), dtype=torch.bool)
    kept[bare["Item", "HAS_TEXT", "Text"].edge_index[1]] = True
    similar = bare["Text", "SIMILAR", "Text"]
    assert kept[similar.edge_index].all() and similar.score.shape == similar.edge_index.shape[1:]
    assert not bare["Text"].mask[~kept].any() and bool((bare["Text"].x[~kept] == 0).all())
    assert not has_generated(bare, "texts") and has_generated(data, "texts")  # the graph itself stays as it was
    assert graph_hash(bare) != graph_hash(data)


def test_a_graph_without_any_is_marked_by_nothing(tmp_path: Path) -> None:
    write(tmp_path / "data")
    source, workspace = {"path": str(tmp_path / "data")}, str(tmp_path / "run")
    plain = parse_config({"source": source, "workspace": workspace, "encoders": {"text": "lexical"}})
    build(plain, strict=True, stages=Stages(quiet=True))
    found = read_graph(plain, Stages(quiet=True))
    assert not has_generated(found, "texts") and not has_generated(found, "triples")
    assert "no_generated" not in {v.name for v in listed(plain, Stages(quiet=True)).variants}
