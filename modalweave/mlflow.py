"""A bundle as an MLflow model: `mlflow.pyfunc.load_model(FOLDER).predict(users, params={"k": 20})`.

MLflow reads `MLmodel`, which names this module, and calls `_load_pyfunc`. Nothing here needs MLflow itself.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    import pandas as pd

    from gnn.bundle.bundle import Bundle


def mlflow_files(model: str) -> dict[str, bytes]:
    """Name -> content of what MLflow wants beside a bundle; `model` is its recommender's name."""
    from modalweave import __version__

    outputs = [
        ("user_id", "string"),
        ("item_id", "string"),
        ("rank", "integer"),
        ("score", "float"),
        ("source", "string"),
    ]
    signature = {
        "inputs": json.dumps([{"type": "string", "name": "user_id", "required": True}]),
        "outputs": json.dumps([{"type": kind, "name": name, "required": True} for name, kind in outputs]),
        "params": json.dumps([{"name": "k", "default": 20, "shape": None, "type": "long"}]),
    }
    described = {
        "flavors": {
            "python_function": {"loader_module": __name__, "python_version": python_version()},
            "modalweave": {"model": model},
        },
        "signature": signature,
    }
    return {
        "MLmodel": yaml.safe_dump(described, sort_keys=True).encode(),
        "requirements.txt": f"modalweave=={__version__}\n".encode(),
    }


class Lists:
    """What MLflow calls: users in, their best items out."""

    def __init__(self, bundle: "Bundle") -> None:
        self._bundle = bundle

    def predict(
        self, model_input: "pd.DataFrame | Iterable[str]", params: Mapping[str, Any] | None = None
    ) -> "pd.DataFrame":
        """`user_id, item_id, rank, score, source` of each user of the column `user_id` (or of the texts given).

        `params["k"]` is the length of a list, 20 by default. Who is not known gets what is popular.
        """
        import numpy as np
        import pandas as pd
        import torch

        from gnn.scorers.ranking import top_items

        ids = [str(user) for user in (model_input["user_id"] if isinstance(model_input, pd.DataFrame) else model_input)]
        known = {user: row for row, user in enumerate(self._bundle.user_ids)}
        bundle = self._bundle.with_strangers([user for user in dict.fromkeys(ids) if user not in known])
        rows = {user: row for row, user in enumerate(bundle.user_ids)}
        users = np.array([rows[user] for user in ids], dtype=np.int64)
        items, scores = top_items(bundle.served, torch.from_numpy(users), bundle.seen, int((params or {}).get("k", 20)))
        sources = bundle.served.sources(users)
        at, place = np.nonzero(items >= 0)
        return pd.DataFrame(
            {
                "user_id": [ids[row] for row in at],
                "item_id": [bundle.item_ids[item] for item in items[at, place]],
                "rank": (place + 1).astype(np.int32),
                "score": scores[at, place],
                "source": [sources[row] for row in at],
            }
        )


def _load_pyfunc(path: str) -> Lists:
    """The model of an exported bundle; every file is checked against its hash."""
    from gnn.bundle.bundle import load_bundle

    return Lists(load_bundle(Path(path)))
