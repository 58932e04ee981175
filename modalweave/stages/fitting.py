"""What training and refitting share: a recommender fitted under checkpoints, and its bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from torch_geometric.data import HeteroData

from common.memory import peak_memory
from gnn.bundle.bundle import save_bundle
from gnn.closed_form.config import PopularityConfig
from gnn.closed_form.popularity import popular_histories
from gnn.components import Recommender
from gnn.content import NewItems
from gnn.matrices import interactions, known_pairs
from gnn.registry import make_recommender
from gnn.scorers.base import Scorer
from modalweave.config import RunConfig
from modalweave.errors import RunError
from modalweave.progress import Stages
from modalweave.stages.checkpoints import watched
from modalweave.stages.inputs import read_attributes, read_titles
from modalweave.stages.plan import refuse_what_cannot_fit
from modalweave.workspace import Workspace


@dataclass(frozen=True)
class Fitted:
    """A recommender after its fit."""

    recommender: Recommender[Any]
    scorer: Scorer
    told: tuple[str, ...]
    """Sentences where size decided for an approximate form."""
    peak_memory_mb: int


def fit(config: RunConfig, data: HeteroData, checkpoints: Path, *, tensorboard: bool, stages: Stages) -> Fitted:
    """Fit what `config.gnn` asks for with `config.seed`; killed and called again it goes on from `checkpoints`.

    Raises `RunError` before the fit where there is nothing to fit on, or where it cannot fit into memory.
    """
    if not interactions(data).nnz:
        raise RunError(f"{config.store_address} holds 0 training interactions; nothing can be fitted on it")
    refuse_what_cannot_fit(config, data)
    told: list[str] = []
    workspace = Workspace(config.workspace)
    watching = watched(workspace, checkpoints, tensorboard=tensorboard, tell=told.append, note=stages.note)
    with watching as watch, peak_memory() as peak:
        recommender = make_recommender(config.gnn, watch)
        with stages.stage("train", "Training") as report:
            scorer = recommender.fit(data, seed=config.seed, progress=report)
    for sentence in told:
        stages.note(sentence)
    return Fitted(recommender, scorer, tuple(told), round(peak.resident / 2**20))


def popular_pairs(config: RunConfig, data: HeteroData) -> tuple[sp.csr_matrix, dict[str, Any]]:
    """The histories that a user without one is served by, and the `popularity:` section that counts them so again."""
    popular = config.gnn.settings("popularity")
    assert isinstance(popular, PopularityConfig)
    history, used = popular_histories(data, popular, seed=config.seed)
    return history, used.model_dump(mode="json", exclude_defaults=True)


def save(
    folder: Path,
    config: RunConfig,
    scorer: Scorer,
    data: HeteroData,
    history: sp.csr_matrix,
    facts: Mapping[str, Any],
    encoder: Mapping[str, np.ndarray] | None = None,
) -> str:
    """Write the bundle of a scorer fitted on `data`, which masks every known pair whatever its split; its hash.

    `history` is that of `popular_pairs`, `encoder` that of `Recommender.item_encoder`.
    """
    manifest = {
        "model": config.gnn.model,
        "dataset": config.name,
        "graph_schema": data.schema_hash,
        "seed": config.seed,
        **facts,
    }
    return save_bundle(
        folder,
        scorer,
        user_ids=data["User"].ids,
        item_ids=data["Item"].ids,
        seen=known_pairs(data),
        history=history,
        new_items=NewItems.of(data),
        titles=read_titles(config, data["Item"].ids),
        attributes=read_attributes(config, data["Item"].ids),
        encoder=encoder,
        manifest=manifest,
    )
