"""The enrichment stage: what a language model writes about the items, before their media are encoded."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from common.files import write_text
from encoders.chat import Chat
from encoders.downloads import Downloads
from encoders.reading import MediaReader
from etl.enrichment.enrichment import Enriched, EnrichmentReport, enrich, estimates, try_out
from etl.enrichment.replies import ReplyCache
from etl.enrichment.tasks import tasks_of
from etl.sources import read_source
from etl.tables import Tables
from etl.validate import validate
from graph.errors import StoreMissing
from modalweave.config import RunConfig
from modalweave.errors import ConfigError
from modalweave.progress import Stages
from modalweave.results.enrichment import EnrichPlan, EnrichResult
from modalweave.stages.catalogue import held_attributes, text_encoder
from modalweave.stores import connect
from modalweave.workspace import Workspace

_MOST_SHOWN = 200
"""Items of a page for people."""


def enriched(config: RunConfig, tables: Tables, stages: Stages) -> Enriched | None:
    """The tables with what the language model writes; None where the config asks for nothing."""
    if not config.enrich:
        return None
    with _asking(config, tables, stages) as asking:
        triples = config.enrich.triples
        encoder = text_encoder(config, tables, stages) if triples and triples.same_over is not None else None
        with stages.stage("enrich", "Asking the language model") as report:
            found = enrich(
                tables,
                config.enrich,
                asking.chat,
                asking.cache,
                asking.reader,
                encoder=encoder,
                known=_held_entities(config),
                progress=report,
            )
    stages.note(f"  {told(found.report)}")
    return found


def enrich_run(
    config: RunConfig, *, dry_run: bool, limit: int | None, page: Path | None, stages: Stages
) -> EnrichPlan | EnrichResult:
    """Ask about all items, or `limit` of them drawn by their ids, and keep the replies for `build`.

    With a `limit` or a `page` what was written is shown beside the items. With `dry_run` nothing is sent.
    """
    if not config.enrich:
        raise ConfigError("enrich: no task is named; give captions, triples or summary, e.g. triples: {ready: film}")
    with stages.stage("read", "Reading the source"):
        source = config.source.against(held_attributes(config))
        tables = validate(read_source(source), strict=source.strict, weight=source.weight)
    items = _drawn(tables, limit) if limit is not None else None
    with _asking(config, tables, stages, quiet=dry_run) as asking:
        if dry_run:
            with stages.stage("plan", "Counting what would be sent") as report:
                found = estimates(tables, config.enrich, *asking.parts, items=items, progress=report)
            price = asking.chat.config.price
            return EnrichPlan(
                sends_to=asking.chat.sends_to, tasks=tuple(found), currency=price.currency if price else None
            )
        shown = page or (Workspace(config.workspace).enrichment_page if limit is not None else None)
        most = _MOST_SHOWN * len(tasks_of(config.enrich)) if shown is not None else 0
        with stages.stage("enrich", "Asking the language model") as report:
            answers, written = try_out(tables, config.enrich, *asking.parts, items=items, most=most, progress=report)
        if shown is not None:
            from etl.enrichment.review_page import review_page

            title = f"What {written.model} wrote: {config.name}"
            write_text(shown, review_page(answers, written, asking.reader, title=title, most=_MOST_SHOWN))
    return EnrichResult(
        model=written.model,
        asked=written.asked,
        kept=written.kept,
        written=written.written,
        left_out=written.left_out,
        tokens_in=written.tokens_in,
        tokens_out=written.tokens_out,
        seconds=dict(stages.seconds),
        page=str(shown) if shown is not None else None,
    )


def told(report: EnrichmentReport) -> str:
    """One line of what was written."""
    left = f"; {report.left_out:,} replies or parts of them did not fit" if report.left_out else ""
    new = report.asked - report.kept
    return (
        f"{report.model} wrote {report.texts:,} texts and {report.facts:,} facts ({new:,} of {report.asked:,} replies "
        f"are new){left}"
    )


def told_of(report: EnrichmentReport) -> dict[str, Any]:
    """What the coverage report says of it: the same for the same graph."""
    return {name: getattr(report, name) for name in ("model", "asked", "written", "left_out")}


class _Asking(NamedTuple):
    """The model, what it has said, and what it may be shown."""

    chat: Chat
    cache: ReplyCache
    reader: MediaReader

    @property
    def parts(self) -> tuple[Chat, ReplyCache, MediaReader]:
        return self.chat, self.cache, self.reader

    def __enter__(self) -> "_Asking":
        return self

    def __exit__(self, *_: object) -> None:
        self.cache.close()


def _asking(config: RunConfig, tables: Tables, stages: Stages, *, quiet: bool = False) -> _Asking:
    assert config.language_model is not None  # the config has been checked
    workspace, hosts = Workspace(config.workspace), config.source.media_hosts
    workspace.root.mkdir(parents=True, exist_ok=True)
    chat = Chat(config.language_model)
    if not quiet:
        names = ", ".join(task.name for task in tasks_of(config.enrich))
        stages.note(f"  enrich ({names}): {_sent(config)}, as far as replies are not yet kept, go to {chat.sends_to}")
    downloads = Downloads(workspace.downloads, hosts) if hosts else None
    return _Asking(chat, ReplyCache(workspace.replies), MediaReader(tables.root, config.limits, downloads))


def _sent(config: RunConfig) -> str:
    """What leaves this machine, in words."""
    settings = config.enrich
    shown = {modality for task in (settings.captions, settings.triples) if task for modality in task.show}
    kinds = {"text": "texts", "image": "pictures", "audio": "sounds"}
    texts = "text" in shown or settings.summary is not None
    named = [*(["texts"] if texts else []), *(kinds[m] for m in ("image", "audio") if m in shown)]
    return ", ".join(["titles", *named, *map(repr, settings.attributes)])


def _drawn(tables: Tables, limit: int) -> set[str]:
    """The same items every time, in no order that a catalogue has."""
    assert tables.items is not None
    ids = tables.items["item_id"].to_pylist()
    return set(sorted(ids, key=lambda item: hashlib.sha256(item.encode()).digest())[:limit])


def _held_entities(config: RunConfig) -> pa.Table | None:
    try:
        with connect(config.store_address, config, read_only=True) as store:
            batches = list(store.read_nodes("Entity", ["name", "type"]))
    except StoreMissing:
        return None  # nothing is built yet
    return pa.Table.from_batches(batches) if batches else None
