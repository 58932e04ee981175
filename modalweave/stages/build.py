"""The build stage: source -> tables (with what a language model adds) -> embeddings -> graph store."""

import json
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from common.files import write_text, write_whole
from common.progress import Progress
from encoders.cache import EmbeddingCache
from etl.coverage import coverage
from etl.load import load_graph
from etl.media import MediaGraph
from etl.media_links import link_media
from etl.sources import read_source
from etl.split import split_interactions
from etl.tables import Tables
from etl.validate import validate
from graph.schema import MEDIA_LABELS, MODALITIES, EdgeType
from modalweave.config import RunConfig
from modalweave.progress import Stages
from modalweave.results.build import BuildResult, CacheReport, LoadResult, Refused
from modalweave.stages.bulk_load import BulkOptions, admin_command, bulk_load
from modalweave.stages.catalogue import embedded, encoders_of, held_attributes
from modalweave.stages.enrichment import enriched, told_of
from modalweave.stages.unread_texts import unread_texts
from modalweave.stores import connect
from modalweave.workspace import Workspace


def build(
    config: RunConfig, *, strict: bool, stages: Stages, prune: bool = False, bulk: BulkOptions | None = None
) -> BuildResult:
    """Fill the run's graph store from its source; what was left out is in `quarantine.parquet`.

    Nothing is opened for writing before the source has been read and checked whole. The same input again writes
    nothing to the store. With `prune` what the source no longer has is removed from it. With `bulk` the graph goes
    through files and Neo4j's import, and `bulk` of the result says what is left to do.
    """
    workspace = Workspace(config.workspace)
    admin = admin_command(config, bulk) if bulk else None
    with stages.stage("read", "Reading the source"):
        source = config.source if bulk else config.source.against(held_attributes(config))
        tables = validate(read_source(source), strict=strict or source.strict, weight=source.weight)
        interactions = split_interactions(tables.interactions, config.split, seed=config.seed)
        tables = replace(tables, interactions=interactions)
    written = enriched(config, tables, stages)
    if written is not None:
        tables = written.tables
    encoders = encoders_of(config, tables, stages)
    workspace.root.mkdir(parents=True, exist_ok=True)
    media = embedded(config, tables, encoders, stages)
    rejected = pa.concat_tables([tables.rejected, media.rejected])
    with stages.stage("link", "Linking similar media") as report:
        media = link_media(media, tables, config.neighbours, kept=workspace.links, progress=report)
    with stages.stage("load", "Loading the graph") as report:
        notes: Sequence[str] = ()
        if bulk:
            loaded = bulk_load(config, tables, media, admin, bulk)
        else:
            loaded, notes = _online(config, tables, media, prune, report)
    with stages.stage("coverage", "Coverage report"):
        covered = _coverage(tables, media, rejected)
        if written is not None:
            covered["generated"] = told_of(written.report)
        covered["warnings"] += [*notes, *unread_texts(encoders["text"], media)]
        write_whole(workspace.quarantine, lambda path: pq.write_table(rejected, path))
        _write_coverage(workspace, covered, f"Coverage of {config.name}")
    return BuildResult(
        **vars(loaded),
        quarantined=rejected.num_rows,
        coverage={m: covered["modalities"][m]["share_of_items"] for m in media.nodes},
        seconds=dict(stages.seconds),
        refused=tuple(Refused(**entry) for entry in covered["refused"]),
        warnings=tuple(covered["warnings"]),
        details=covered,
    )


def _write_coverage(workspace: Workspace, covered: dict[str, Any], title: str) -> None:
    """The numbers and their page. Drawing takes longer than all else of a build that changes nothing, so a page that
    shows these numbers under this title stays."""
    numbers = json.dumps(covered, indent=2) + "\n"
    try:
        page = workspace.coverage_page.read_text(encoding="utf-8")
        same = f"<title>{escape(title)}</title>" in page and workspace.coverage.read_text(encoding="utf-8") == numbers
    except (OSError, UnicodeDecodeError):
        same = False
    if same:
        return
    from etl.coverage_report import write_coverage

    workspace.coverage.unlink(missing_ok=True)  # never numbers beside the page of others
    write_coverage(workspace.coverage_page, covered, title=title)
    write_text(workspace.coverage, numbers)


def _online(
    config: RunConfig, tables: Tables, media: MediaGraph, prune: bool, progress: Progress | None
) -> tuple[LoadResult, Sequence[str]]:
    """What the load changed, and what the store has to say of itself."""
    with connect(config.store_address, config) as store:
        loaded = load_graph(store, tables, media, prune=prune, progress=progress)
        counts = store.counts()
        notes = store.notes
    result = LoadResult(
        nodes=counts.nodes,
        relationships=counts.relationships,
        written=loaded.written,
        replaced=loaded.replaced,
        removed=loaded.removed,
        stale=loaded.stale,
    )
    return result, notes


def cache_report(config: RunConfig, *, prune_mb: float | None) -> CacheReport:
    """Size and use of the run's embedding cache, after shrinking it where asked."""
    cache = EmbeddingCache(Workspace(config.workspace).embeddings)
    removed = cache.prune(int(prune_mb * 1e6)) if prune_mb is not None else 0
    encoders = [stats._asdict() for stats in cache.stats()]
    used = sum(entry["bytes"] for entry in encoders)
    return CacheReport(str(cache.folder), used, removed, tuple(encoders))


def _coverage(tables: Tables, media: MediaGraph, rejected: pa.Table) -> dict[str, Any]:
    assert tables.items is not None and tables.users is not None
    similar = {
        m: media.similar[edge]
        for m in MODALITIES
        if (edge := EdgeType(MEDIA_LABELS[m], "SIMILAR", MEDIA_LABELS[m])) in media.similar
    }
    return coverage(
        tables.interactions,
        tables.items["item_id"].to_pylist(),
        {m: t.select(["target", "source"]).rename_columns(["id", "item_id"]) for m, t in media.has.items()},
        {m: t.drop_columns([c for c in ("embedding",) if c in t.column_names]) for m, t in media.nodes.items()},
        {m: (v.ids, v.vectors) for m, v in media.vectors.items()},
        similar,
        rejected,
        users=tables.users["user_id"].to_pylist(),
        notes=tables.notes,
    )
