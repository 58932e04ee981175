"""Reasons for the lists of a batch job, in words: what `explain --in-words` says of one link, for all of them."""

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from gnn.bundle.bundle import Bundle, load_bundle
from graph.views.paths import PathNode, path_node
from modalweave.config import RunConfig
from modalweave.progress import Stages
from modalweave.results.words import POPULAR, Language, Wording, paragraph
from modalweave.stages.inputs import read_graph, read_titles
from modalweave.stages.wording import worded
from modalweave.stores import connect
from scoring.reasons import Path as Way
from scoring.reasons import Reasons, grounds


def reasons(config: RunConfig, bundle: Path, language: Language, stages: Stages, *, tone: str | None = None) -> Reasons:
    """What says why an item is in a list, from the run's graph; a customer reads it, so nobody's id is in it.

    With a `tone` the run's language model has worded the sentences (`modalweave.stages.wording`).
    """
    wording = worded(config, language, tone, stages) if tone is not None else {}
    loaded, data = load_bundle(bundle), read_graph(config, stages)
    names: dict[str, str | None] = {}
    with connect(config.store_address, config, read_only=True) as store:
        for batch in store.read_nodes("Entity", ["name"]):
            names |= dict(zip(batch["id"].to_pylist(), batch["name"].to_pylist(), strict=True))
    with stages.stage("reasons", "Looking for reasons"):
        found = grounds(
            data,
            loaded.item_ids,
            loaded.history,
            titles=read_titles(config, loaded.item_ids),
            entities=[names.get(entity) for entity in data["Entity"].ids],
        )
    digest = hashlib.sha256(json.dumps([found.digest, language, wording], sort_keys=True).encode()).hexdigest()
    return Reasons(found, partial(in_words, language, wording), POPULAR[language], language, digest)


def said(why: Reasons, bundle: Bundle, table: pl.DataFrame) -> list[str | None]:
    """A reason for each row of a table of recommendations that a bundle made."""
    users, items = ({name: row for row, name in enumerate(ids)} for ids in (bundle.user_ids, bundle.item_ids))
    rows = np.array([users[name] for name in table["user_id"]], dtype=np.int64)
    columns = np.array([items[name] for name in table["item_id"]], dtype=np.int64)
    return why(bundle.history, rows, columns, table["source"].to_numpy())


class _Reason(NamedTuple):
    """A way as the templates read it; a customer's say nothing of who is told."""

    kind: str
    modality: str | None
    nodes: tuple[PathNode, ...]
    relations: tuple[str, str] | None


def in_words(language: Language, wording: Wording, ways: Sequence[Way]) -> str:
    """A short paragraph for a customer."""
    return paragraph([_reason(way) for way in ways], language, "customer", len(ways), wording)


def _reason(way: Way) -> _Reason:
    nobody = PathNode("User", "", "")
    between = path_node("Entity", way.entity or "", way.entity)
    return _Reason(way.kind, way.modality, (nobody, path_node("Item", "", way.history), between, nobody), way.relations)
