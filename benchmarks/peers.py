"""Other libraries on our splits; each is left out with a reason where it is not installed."""

import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from torch_geometric.data import HeteroData

from gnn.matrices import held_out, interactions

_HEAD = "user_id:token\titem_id:token\n"


def recbole(
    data: HeteroData, settings: dict[str, Any], epochs: int, every: int, patience: int, folder: Path
) -> dict[str, Any]:
    """LightGCN of RecBole 1.2 trained and validated by its own trainer on our split."""
    if find_spec("recbole") is None:
        return {"left out": "not installed: pip install recbole"}
    _old_names()
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.model.general_recommender import LightGCN
    from recbole.trainer import Trainer
    from recbole.utils import init_seed

    _write(data, folder / "recbole" / "set")
    os.chdir(folder)  # it writes logs beside itself
    given = {
        "data_path": str(folder / "recbole"),
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {"inter": ["user_id", "item_id"]},
        "embedding_size": settings["embedding_dim"],
        "n_layers": settings["layers"],
        "train_batch_size": settings["batch_size"],
        "learning_rate": settings["learning_rate"],
        "reg_weight": 1e-4,
        "epochs": epochs,
        "eval_step": every,
        "stopping_step": patience,
        "eval_args": {"mode": "full", "order": "RO", "split": {"LS": "valid_and_test"}, "group_by": "user"},
        "metrics": ["NDCG"],
        "topk": [20],
        "valid_metric": "NDCG@20",
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
    }
    config = Config(model="LightGCN", dataset="set", config_dict=given)
    init_seed(0, True)
    train_data, valid_data, _ = data_preparation(config, create_dataset(config))
    trainer = Trainer(config, LightGCN(config, train_data.dataset))
    spent: list[float] = []
    looks: list[tuple[float, float]] = []
    epoch = trainer._train_epoch
    began = time.perf_counter()

    def timed(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        loss = epoch(*arguments, **named)
        spent.append(time.perf_counter() - start)
        return loss

    trainer._train_epoch = timed
    trainer.fit(
        train_data,
        valid_data,
        verbose=False,
        saved=False,
        callback_fn=lambda _, score: looks.append((score, time.perf_counter() - began)),
    )
    best, at = max(looks, key=lambda look: look[0])
    return {
        "seconds an epoch": round(float(np.median(spent)), 3),
        "seconds to the best validation point": round(at, 1),
        "validation ndcg@20": round(float(best), 4),
    }


def _write(data: HeteroData, folder: Path) -> None:
    """RecBole's atomic files; the split's names say what is what."""
    folder.mkdir(parents=True)
    parts = {"train": interactions(data), "valid": held_out(data, "valid"), "test": held_out(data, "test")}
    for name, matrix in parts.items():
        rows, columns = matrix.nonzero()
        lines = (f"u{u}\ti{i}\n" for u, i in zip(rows, columns, strict=True))
        (folder / f"set.{name}.inter").write_text(_HEAD + "".join(lines), encoding="utf-8")


def _old_names() -> None:
    """RecBole 1.2 was written for numpy 1 and for a scipy whose `dok_matrix` could be updated: put these names back."""
    old = {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_, "bool8": np.bool_}
    for name, kind in old.items():
        if not hasattr(np, name):
            setattr(np, name, kind)
    if not hasattr(sp.dok_matrix, "_update"):
        sp.dok_matrix._update = lambda matrix, entries: matrix._dict.update(entries)
