"""`modalweave demo`: the whole product on a synthetic catalogue."""

import os
from pathlib import Path
from typing import NamedTuple

import polars as pl

from common.files import write_text
from graph.views.paths import GraphPath, explain_paths
from modalweave.config import RunConfig, dump_config, parse_config
from modalweave.progress import Stages
from modalweave.results.jobs import DemoResult, Recommended
from modalweave.sample.catalogue import write_catalogue
from modalweave.stages.build import build
from modalweave.stages.evaluate import evaluate
from modalweave.stages.score import score_run
from modalweave.stages.train import train
from modalweave.stores import connect
from modalweave.workspace import Workspace

_MODEL = {
    "model": "ensemble",
    "ensemble": {
        "parts": [
            {"model": "hetero", "network": {"identity_dropout": 0.3, "cold_negatives": False, "evaluate_every": 2}},
            {"model": "graph_filter"},
        ]
    },
}
"""One network that learns to place new items, and one closed form: the automatic choice compares more, for minutes."""

_HISTORY = """
MATCH (u:User {id: $user})-[r:INTERACTED]->(i:Item)
WHERE r.split = 'train'
RETURN i.id AS id, i.title AS title, r.timestamp AS timestamp
ORDER BY timestamp DESC LIMIT 10
"""
_TITLES = "MATCH (i:Item) WHERE i.id IN $items RETURN i.id AS id, i.title AS title"


def run_demo(out: Path, *, store: str, items: int, users: int, stages: Stages) -> DemoResult:
    """Write the catalogue and its config to `out`, run every stage, and explain one user's recommendations."""
    with stages.stage("catalogue", "Drawing the sample catalogue") as report:
        write_catalogue(out / "catalogue", items=items, users=users, progress=report)
    address = os.environ.get("NEO4J_URI", "bolt://127.0.0.1:7687") if store == "neo4j" else store
    config = parse_config(
        {
            "name": "demo",
            "source": {"format": "folder", "path": str(out / "catalogue")},
            "workspace": str(out / "run"),
            "store": address,
            "gnn": _MODEL,
        }
    )
    config_path = out / "demo.yaml"
    write_text(config_path, dump_config(config))
    built = build(config, strict=False, stages=stages)
    train(config, stages=stages)
    metrics = evaluate(config, split="test", stages=stages)
    scores = score_run(config, stages=stages)
    shown = _one_user(config)
    return DemoResult(
        synthetic=True,
        build=built,
        evaluate=metrics,
        score=scores,
        user=shown.user,
        history=shown.history,
        recommended=shown.recommended,
        paths=tuple(shown.paths),
        workspace=str(config.workspace),
        next=(
            f"modalweave serve {config_path} --open",
            f"modalweave cypher --list --config {config_path}",
            f"modalweave cypher 'MATCH (i:Item)-[:HAS_AUDIO]->(a:Audio) RETURN i.title, a.duration' {config_path}",
            f"modalweave score {Workspace(config.workspace).bundle} --out {out / 'more'} --top-k 50",
        ),
    )


class _Shown(NamedTuple):
    user: str
    history: tuple[str, ...]
    recommended: tuple[Recommended, ...]
    paths: list[GraphPath]


def _one_user(config: RunConfig) -> _Shown:
    """The user whose best recommendation the graph explains most plainly, among the first of the batch job."""
    links = pl.read_parquet(Workspace(config.workspace).scores / "part-00000.parquet")
    by_user: dict[str, list[tuple[str, float]]] = {}
    for user, item, score in links.select("user_id", "item_id", "score").iter_rows():
        by_user.setdefault(user, []).append((item, score))
    with connect(config.store_address, config, read_only=True) as store:
        best: tuple[int, str, list[GraphPath]] = (-1, "", [])
        for user in list(by_user)[:20]:
            paths = explain_paths(store, user, by_user[user][0][0], limit=6)
            kinds = len({path.kind for path in paths})
            best = max(best, (kinds, user, paths), key=lambda found: found[0])
        _, user, paths = best
        history = store.query(_HISTORY, {"user": user}).to_pylist()
        ids = [item for item, _ in by_user[user]]
        titles = {row["id"]: row["title"] for row in store.query(_TITLES, {"items": ids}).to_pylist()}
    return _Shown(
        user,
        tuple(row["title"] or row["id"] for row in history),
        tuple(Recommended(item, titles[item] or item, score) for item, score in by_user[user][:10]),
        paths,
    )
