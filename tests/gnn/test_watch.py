"""A fit under watch: every epoch is heard, and one that was killed goes on to the same end."""

import numpy as np
import pytest
import torch

from gnn.components import Watch
from gnn.config import AutoConfig, GNNConfig
from gnn.matrices import interactions
from gnn.registry import make_recommender

CONFIG = GNNConfig(epochs=4, embedding_dim=16, auto=AutoConfig(copies=2))


class Killed(Exception):
    pass


def test_an_automatic_choice_killed_at_any_network_ends_the_same(mixed_graph, tmp_path) -> None:
    heard: list[tuple[str, float]] = []
    whole = make_recommender(CONFIG, Watch(on_epoch=lambda name, row: heard.append((name, row["epoch"]))))
    expected = whole.fit(mixed_graph, seed=0)
    networks = len({name for name, _ in heard})
    assert networks >= 2  # one of the space and its copy
    for last in (2, len(heard) // 2, len(heard) - 1):
        folder = tmp_path / str(last)
        folder.mkdir()
        before: list[str] = []

        def kill(name: str, row: object, before: list[str] = before, last: int = last) -> None:
            before.append(name)
            if len(before) == last:
                raise Killed

        with pytest.raises(Killed):
            make_recommender(CONFIG, Watch(folder, kill)).fit(mixed_graph, seed=0)
        after: list[str] = []
        resumed = make_recommender(CONFIG, Watch(folder, lambda name, row, after=after: after.append(name)))
        found = resumed.fit(mixed_graph, seed=0)
        assert torch.equal(found.scores(torch.arange(60)), expected.scores(torch.arange(60)))
        assert resumed.resolved() == whole.resolved()
        assert len(before) + len(after) == len(heard)  # nothing was trained twice


def test_what_an_approximate_form_leaves_out_is_told(mixed_graph):
    told = []
    for model, section in (("ease", {"rank": 8}), ("graph_filter", {"row_entries": 5})):
        config = GNNConfig.model_validate({"model": model, model: section | {"dense_limit": 10}})
        make_recommender(config, Watch(tell=told.append)).fit(mixed_graph, seed=0)
    (ease, graph_filter), history = told, interactions(mixed_graph)
    energy = (np.linalg.svd(history.toarray(), compute_uv=False)[:8] ** 2).sum() / history.nnz
    assert (
        "40 items are more than ease.dense_limit 10" in ease and f"8 singular vectors, which hold {energy:.0%}" in ease
    )
    assert "a row keeps 5 entries" in graph_filter and not graph_filter.endswith("100.0% of all co-occurrence")
    exact = []
    make_recommender(GNNConfig(model="ease"), Watch(tell=exact.append)).fit(mixed_graph, seed=0)
    assert exact == []
