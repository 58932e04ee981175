"""Training: it learns what was planted, stops in time, repeats itself and survives a kill."""

import numpy as np
import pytest
import torch

from gnn.components import Watch
from gnn.errors import GnnError
from gnn.matrices import held_out, interactions
from gnn.network.checkpoint import TrainingState, load_state, save_state
from gnn.network.config import NetworkConfig
from gnn.network.recommender import HeteroGNN
from gnn.network.registries import SCHEDULES
from gnn.scorers.ranking import top_items

SMALL = {"embedding_dim": 16, "learning_rate": 0.02, "batch_users": 50, "epochs": 15}


def recall(scorer, data, split="test", k=5):
    positives = held_out(data, split)
    ranked, _ = top_items(scorer, torch.arange(scorer.num_users), interactions(data), k)
    return np.mean([len(set(r) & set(p.indices)) / p.nnz for r, p in zip(ranked, positives, strict=True) if p.nnz])


def test_only_the_picture_reaches_new_items_and_the_gates_say_so(taste_graph):
    data = taste_graph()
    results = {}
    for modalities in ((), ("image",), ("audio",), ("image", "audio")):
        model = HeteroGNN(NetworkConfig(**SMALL, modalities=modalities, identity_dropout=0.5, cold_negatives=False))
        results[modalities] = recall(model.fit(data, seed=0), data)
    assert results["image",] > 0.4 and results["image", "audio"] > 0.3
    assert results["image",] > 3 * max(results[()], results["audio",])
    gates = model.modality_gates()
    assert list(gates) == ["image", "audio"]
    assert gates["image"].mean() > gates["audio"].mean()


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "bpr", "batch_size": 128, "edge_dropout": 0.3, "regularisation": 1e-3},
        {"loss": "sampled_softmax", "batch_size": 128, "negatives": 64},
        {"alignment": 0.1, "modality_dropout": 0.2, "feature_noise": 0.1},
        {"alignment": 0.1, "alignment_teacher": "image", "schedule": "cosine"},
        {"modality_learning_rates": {"audio": 2.0}, "schedule": "linear", "user_weight_power": 0.5},
    ],
    ids=lambda s: next(iter(s)),
)
def test_every_setting_trains_repeatably(settings, taste_graph):
    data = taste_graph()
    config = NetworkConfig(**(SMALL | {"epochs": 4}), **settings)
    first, second = (HeteroGNN(config) for _ in range(2))
    a, b = first.fit(data, seed=3), second.fit(data, seed=3)
    assert torch.equal(a.user_vectors, b.user_vectors) and torch.equal(a.item_vectors, b.item_vectors)
    losses = [row["loss"] for row in first.report.history]
    assert losses[-1] < losses[0] and bool(a.item_vectors.isfinite().all())
    assert not torch.equal(HeteroGNN(config).fit(data, seed=4).user_vectors, a.user_vectors)


class Killed(Exception):
    """What stands for a kill."""


def test_resumed_training_ends_bit_for_bit_like_an_unbroken_run(taste_graph, tmp_path):
    data = taste_graph()
    config = NetworkConfig(**(SMALL | {"epochs": 8}), edge_dropout=0.2, identity_dropout=0.2, feature_noise=0.1)
    whole = HeteroGNN(config)
    expected = whole.fit(data, seed=1)

    def kill(name, row):
        if row["epoch"] == 3:
            raise Killed

    folder = tmp_path / "run"
    with pytest.raises(Killed):
        HeteroGNN(config, Watch(folder, kill)).fit(data, seed=1)
    epochs = []
    resumed = HeteroGNN(config, Watch(folder, lambda name, row: epochs.append(row["epoch"])))
    got = resumed.fit(data, seed=1)
    assert epochs == [4, 5, 6, 7, 8]
    assert torch.equal(got.user_vectors, expected.user_vectors)
    assert torch.equal(got.item_vectors, expected.item_vectors)
    assert [r["loss"] for r in resumed.report.history] == [r["loss"] for r in whole.report.history]
    assert [p.suffix for p in folder.iterdir()] == [".safetensors"]


def test_a_checkpoint_of_another_run_is_not_taken_up(taste_graph, tmp_path):
    data = taste_graph()
    config = NetworkConfig(**(SMALL | {"epochs": 2}))
    HeteroGNN(config, Watch(tmp_path)).fit(data, seed=1)
    data["User", "INTERACTED", "Item"].weight[0] = 0
    epochs = []
    HeteroGNN(config, Watch(tmp_path, lambda name, row: epochs.append(row["epoch"]))).fit(data, seed=1)
    assert epochs == [1, 2]


def test_a_broken_checkpoint_is_one_line(tmp_path):
    path = tmp_path / "state.safetensors"
    save_state(path, TrainingState(epoch=1, parameters={"a": torch.ones(3)}), "run")
    assert load_state(path, "run").parameters["a"].tolist() == [1, 1, 1]
    assert load_state(path, "other") is None and load_state(tmp_path / "none", "run") is None
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(GnnError, match=r"checkpoint .*state\.safetensors cannot be read .*; delete it") as error:
        load_state(path, "run")
    assert "\n" not in str(error.value)


def test_validation_and_test_pairs_do_not_steer_the_steps(taste_graph):
    data, other = taste_graph(), taste_graph()
    store = other["User", "INTERACTED", "Item"]
    store.valid_label_index = store.valid_label_index[:, ::3].flip(0).flip(0)
    store.test_label_index = store.test_label_index[:, :0]
    config = NetworkConfig(**(SMALL | {"epochs": 3}))
    runs = [HeteroGNN(config) for _ in range(2)]
    for run, graph in zip(runs, (data, other), strict=True):
        run.fit(graph, seed=0)
    assert [r["loss"] for r in runs[0].report.history] == [r["loss"] for r in runs[1].report.history]


def test_training_stops_early_and_keeps_the_best(taste_graph):
    model = HeteroGNN(NetworkConfig(**(SMALL | {"epochs": 300, "learning_rate": 0.1}), patience=2))
    done = []
    scorer = model.fit(taste_graph(), seed=0, progress=lambda n, total: done.append((n, total)))
    report = model.report
    assert report.epochs < 300 and report.epochs - report.best_epoch == 2
    assert report.best_ndcg == max(r["ndcg@20"] for r in report.history)
    assert done[0] == (1, 300) and done[-1] == (300, 300)
    assert report.seconds > 0 and report.peak_memory_mb > 50
    assert scorer.kind == "dot" and scorer.num_users == 150


def test_without_validation_pairs_all_epochs_run(taste_graph):
    data = taste_graph()
    data["User", "INTERACTED", "Item"].valid_label_index = torch.zeros(2, 0, dtype=torch.int64)
    model = HeteroGNN(NetworkConfig(**(SMALL | {"epochs": 3})))
    model.fit(data, seed=0)
    assert (model.report.epochs, model.report.best_epoch, model.report.best_ndcg) == (3, 3, -1)


def test_users_without_history_get_what_is_popular(bare_graph):
    train = [(u, 0) for u in range(9)] + [(u, 1 + u % 3) for u in range(9)]
    data = bare_graph(10, 5, train)
    scorer = HeteroGNN(NetworkConfig(**SMALL)).fit(data, seed=0)
    ranked, _ = top_items(scorer, torch.tensor([9]), interactions(data), 1)
    assert ranked.tolist() == [[0]]


def test_schedules_start_at_one_and_fall_to_a_tenth():
    assert all(schedule(0.0) == pytest.approx(1) for schedule in SCHEDULES.values())
    assert SCHEDULES["cosine"](1.0) == pytest.approx(0.1) and SCHEDULES["linear"](1.0) == pytest.approx(0.1)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_epochs_that_were_kept_give_the_same_again_without_validation_deciding(taste_graph, schedule):
    settings = SMALL | {"epochs": 300, "learning_rate": 0.1, "patience": 2, "schedule": schedule}
    stopped = HeteroGNN(NetworkConfig(**settings))
    scorer = stopped.fit(taste_graph(), seed=0)
    again = HeteroGNN(stopped.resolved())
    assert again.config.epochs == stopped.report.best_epoch < stopped.report.epochs
    whole = again.fit(taste_graph(), seed=0)
    assert torch.equal(whole.user_vectors, scorer.user_vectors)
    assert again.resolved() == again.config
