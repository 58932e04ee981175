"""What a model is measured by, what a graph's sizes are, and what is told of texts and vectors."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from torch_geometric.data import HeteroData

from encoders.cache import EmbeddingCache
from encoders.precomputed import keep_vectors
from etl.config import SourceConfig
from etl.media import GIVEN, MediaGraph
from etl.sources import read_source
from etl.validate import validate
from evaluation.config import EvaluationConfig
from gnn.scorers.base import DotScorer
from gnn.testing import add_media, bare_graph
from modalweave.config import parse_config
from modalweave.errors import RunError
from modalweave.stages.evaluate import items_with, slices
from modalweave.stages.measured import measure
from modalweave.stages.plan_sizes import graph_sizes, source_sizes
from modalweave.stages.unread_texts import unread_texts
from modalweave.stages.vector_lookup import local_vectors
from modalweave.workspace import Workspace
from tests.modalweave.conftest import ITEMS, USERS, write_dataset

CONFIG = EvaluationConfig(k=[1, 2], resamples=20)


def graph() -> HeteroData:
    """Two users of five items: user 0 has 0 in train, 1 in validation and 2 in test; user 1 has 3 and 4."""
    data = bare_graph(3, 5, [(0, 0), (1, 3)], [(0, 1)], [(0, 2), (1, 4)])
    add_media(data, "Image", np.eye(5)[:3] + 0.1, neighbours=1, items=np.arange(3))
    for label in ("Text", "Audio"):
        data["Item", f"HAS_{label.upper()}", label].edge_index = torch.zeros(2, 0, dtype=torch.int64)
    return data


def scorer(*rows: list[float]) -> DotScorer:
    return DotScorer(torch.tensor(rows, dtype=torch.float32), torch.eye(5))


SCORER = scorer([9, 8, 7, 1, 0], [5, 4, 3, 9, 2], [0, 0, 0, 0, 0])
"""Of user 0 item 1 is first and 2 second (0 is known); of user 1 item 4 is last but for what is known."""


def test_metrics_by_hand() -> None:
    found = measure(SCORER, graph(), "test", CONFIG, seed=0)
    assert found.values["recall@1"].tolist() == [0.0, 0.0]
    assert found.values["recall@2"].tolist() == [1.0, 0.0]
    assert found.values["mrr"].tolist() == [0.5, 0.25]
    assert found.ranked.tolist() == [[1, 2], [0, 1], [-1, -1]]
    summary: Any = found.summary["recall@2"]
    assert summary["mean"] == 0.5


def test_only_train_is_masked_so_a_validation_item_stands_before_the_test_item() -> None:
    valid = measure(SCORER, graph(), "valid", CONFIG, seed=0)
    assert valid.values["recall@1"].tolist() == [1.0]
    assert valid.ranked[1].tolist() == [-1, -1], "user 1 has nothing in validation"


def test_nothing_to_measure_on_names_the_setting() -> None:
    data = bare_graph(2, 5, [(0, 0)], [(0, 1)])
    with pytest.raises(RunError, match=r"split 'test' holds 0 interactions to measure on; set split\.test above 0"):
        measure(scorer([0] * 5, [0] * 5), data, "test", CONFIG, seed=0)


def test_slices_divide_what_is_wanted() -> None:
    found = slices(measure(SCORER, graph(), "test", CONFIG, seed=0), graph(), "test", CONFIG, seed=0)
    cold = found["cold_items"]
    assert sum(part.positives for part in cold.values()) == 2, "no wanted item has a training interaction"
    for parts in found.values():
        assert all(part.positives >= part.users > 0 for part in parts.values())
    missing = [part for group, parts in found.items() if "modality" in group for part in parts.values()]
    assert [part.positives for part in missing] == [1], "item 4 alone lacks a picture; nothing has a text or sound"


def test_which_items_have_a_modality() -> None:
    assert items_with(graph(), "image").tolist() == [True, True, True, False, False]
    assert not items_with(graph(), "text").any()


def test_the_sizes_of_a_source_are_those_of_the_graph_it_gives(tmp_path: Path) -> None:
    tables = validate(read_source(SourceConfig(path=write_dataset(tmp_path / "data"))), strict=True)
    found = source_sizes(tables, neighbours=7)
    assert (found.users, found.items, found.pairs) == (USERS, ITEMS, 420)
    assert (found.entities, found.related, found.follows) == (4, 40, 0)
    image = found.media["image"]
    assert (image.nodes, image.width, image.links) == (ITEMS, 8, 7 * ITEMS)
    assert list(found.media) == ["image"]


def test_given_neighbours_count_as_links_and_raw_media_by_their_number(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    (folder / "neighbours").mkdir()
    rows = {"item_id": ["i00", "i01"], "neighbour_id": ["i01", "i00"], "score": [0.5, 0.5]}
    pl.DataFrame(rows).write_parquet(folder / "neighbours" / "audio.parquet")
    media = {"item_id": ["i00", "i01", "i02"], "modality": ["text"] * 3, "content": ["a", "b", "c"]}
    pl.DataFrame(media).write_parquet(folder / "media.parquet")
    found = source_sizes(read_source(SourceConfig(path=folder)), neighbours=5).media
    assert (found["audio"].nodes, found["audio"].width, found["audio"].links) == (ITEMS, 0, 2)
    assert (found["text"].nodes, found["text"].width, found["text"].links) == (3, 512, 15)


def test_the_sizes_of_a_graph_count_links_of_every_kind() -> None:
    data = graph()
    data["User", "FOLLOWS", "User"].edge_index = torch.tensor([[0, 1], [1, 2]])
    found = graph_sizes(data)
    assert (found.pairs, found.held_out, found.follows, found.related) == (2, 3, 2, 0)
    assert {m: (s.nodes, s.width, s.links) for m, s in found.media.items()} == {"image": (3, 5, 3)}


class Reader:
    """A text encoder that knows Latin letters only, and counts what it was asked."""

    name = "latin"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def lost(self, texts: list[str]) -> list[float]:
        self.asked += texts
        return [sum(ord(letter) > 0x2FF for letter in text) / len(text) for text in texts]


def texts(*content: str | None) -> MediaGraph:
    table = pa.table({"id": [str(n) for n in range(len(content))], "content": pa.array(content, pa.string())})
    return MediaGraph({"text": table})


def test_only_texts_in_other_scripts_are_looked_at_and_counted() -> None:
    reader = Reader()
    (told,) = unread_texts(reader, texts("a red lamp", "台灯很漂亮真的", "настольная лампа", None, ""))  # type: ignore[arg-type]
    assert told.startswith("2 of 3 texts are mostly outside what latin knows ('台灯很漂亮真的')")
    assert "a red lamp" not in reader.asked, "a tokenizer takes seconds to load"


@pytest.mark.parametrize("encoder", [None, object(), Reader()], ids=["none", "cannot tell", "knows them all"])
def test_nothing_is_told_where_nothing_is_known(encoder: Any) -> None:
    assert list(unread_texts(encoder, texts("a red lamp"))) == []


def test_vectors_are_looked_up_beside_a_server_only(tmp_path: Path) -> None:
    raw: dict[str, Any] = {"source": {"path": "."}, "workspace": str(tmp_path)}
    server = parse_config(raw | {"store": "bolt://127.0.0.1:9"})
    assert local_vectors(server) is None, "there is no cache yet"
    first, second = "a" * 64, "b" * 64
    cache = EmbeddingCache(Workspace(tmp_path).embeddings)
    keep_vectors(cache, f"{GIVEN}-image", [first, second], np.eye(2, 3, dtype=np.float32))
    assert local_vectors(parse_config(raw)) is None, "the embedded store reads as fast itself"
    lookup = local_vectors(server)
    assert lookup is not None
    found = lookup("Image", GIVEN, [second, first])
    assert found is not None and found.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert lookup("Image", GIVEN, [first, "c" * 64]) is None
    assert lookup("Text", GIVEN, [first]) is None
