"""The graph in numbers, and what its build left out."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from graph.store import GraphStore
from modalweave.serve.answers import OverviewAnswer, Quarantined
from modalweave.workspace import Workspace


def overview_answer(store: GraphStore, name: str, workspace: Workspace | None, bundle: Path | None) -> OverviewAnswer:
    """Counts from the store; the rest from the run's own products, where there is a run."""
    counts, details = store.counts(), _coverage(workspace)
    notices = [*details.pop("warnings", ())]
    if bundle is None:
        way = "run `modalweave train`" if workspace is not None else "name one with --bundle"
        notices.append(f"no trained model is here, so nothing is recommended; {way}")
    if not counts.nodes["Item"]:
        notices.insert(0, "the graph holds no items; run `modalweave build`")
    return OverviewAnswer(
        name=name,
        store=store.address,
        nodes=counts.nodes,
        relationships=counts.relationships,
        coverage={modality: facts["share_of_items"] for modality, facts in details.get("modalities", {}).items()},
        notices=notices,
        quarantine=_quarantine(workspace),
        model=str(bundle) if bundle is not None else None,
        details=details,
    )


def _coverage(workspace: Workspace | None) -> dict[str, Any]:
    if workspace is None or not workspace.coverage.is_file():
        return {}
    found = json.loads(workspace.coverage.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}


def _quarantine(workspace: Workspace | None, examples: int = 20) -> list[Quarantined]:
    """What was left out by reason, most frequent first."""
    if workspace is None or not workspace.quarantine.is_file():
        return []
    table = pl.read_parquet(workspace.quarantine).with_columns(
        pl.coalesce("uri", "item_id", pl.lit("")).alias("example"), pl.col("modality").fill_null("row")
    )
    groups = table.group_by("modality", "reason").agg(pl.len().alias("count"), pl.col("example").head(examples))
    ordered = groups.sort("count", "modality", "reason", descending=[True, False, False])
    return [Quarantined(**{**row, "examples": row.pop("example")}) for row in ordered.iter_rows(named=True)]
