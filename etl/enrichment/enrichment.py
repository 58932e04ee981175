"""Texts and facts that a language model writes, added to the tables of a catalogue; what that would take, before."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

import pyarrow as pa

from common.progress import Progress
from encoders.base import Encoder
from encoders.chat import Chat
from encoders.reading import MediaReader
from etl.enrichment.asking import Answered, Question, ask_all, questions
from etl.enrichment.config import EnrichmentConfig
from etl.enrichment.entities import Entity, Value, entities_of
from etl.enrichment.records import item_records
from etl.enrichment.replies import ReplyCache
from etl.enrichment.tasks import Finding, tasks_of
from etl.errors import SourceError
from etl.tables import MEDIA, PROVENANCE, QUARANTINE, TRIPLES, Tables
from graph.schema import GENERATED

_CHARACTERS_A_TOKEN = 4.0
_PIXELS_A_TOKEN = 28 * 28
_TOKENS_A_SECOND = 25.0
"""Of sound."""
_REPLY = {"captions": 90, "summary": 90, "triples": 250}
"""Tokens of a reply, before any was seen."""


@dataclass(frozen=True)
class EnrichmentReport:
    """What a model wrote, and what that took."""

    model: str
    asked: int = 0
    """Questions, one an item and task."""
    kept: int = 0
    """Of them, those whose reply was in the cache."""
    written: dict[str, int] = field(default_factory=dict)
    """`caption`, `summary` and each relation -> how many."""
    left_out: int = 0
    """Replies, or parts of them, that did not fit."""
    tokens_in: int = 0
    """Of this run; as the server counts them."""
    tokens_out: int = 0

    @property
    def texts(self) -> int:
        """Captions and summaries."""
        return sum(self.written.get(kind, 0) for kind in ("caption", "summary"))

    @property
    def facts(self) -> int:
        """Links to entities."""
        return sum(self.written.values()) - self.texts


class Enriched(NamedTuple):
    """Tables with what was written."""

    tables: Tables
    report: EnrichmentReport


@dataclass(frozen=True)
class Estimate:
    """What a task would still send."""

    task: str
    items: int
    """That it concerns."""
    calls: int
    """Those whose reply is not in the cache."""
    tokens_in: int
    tokens_out: int
    seconds: float | None
    """At the speed of the replies so far; None before any."""
    cost: float | None
    """None without a price."""


def check_enrichment(tables: Tables, config: EnrichmentConfig) -> None:
    """Raise `SourceError` where captions or summaries would find no place: texts that come as vectors."""
    if (config.captions or config.summary) and "text" in tables.embeddings:
        raise SourceError(
            "enrich: this catalogue's texts come as vectors (embeddings/text), among which a model's texts have no "
            "place; leave captions and summary out"
        )


def enrich(
    tables: Tables,
    config: EnrichmentConfig,
    chat: Chat,
    cache: ReplyCache,
    reader: MediaReader,
    *,
    encoder: Encoder | None = None,
    known: pa.Table | None = None,
    progress: Progress | None = None,
) -> Enriched:
    """Validated tables with captions, summaries and facts in `media` and `triples`, marked by `PROVENANCE`.

    The same input again is answered by the cache, to the same tables. What a model is shown are items and their media,
    never interactions. `encoder` (of texts) is for `triples.same_over`; `known` (`id`, `name`, `type`) are the graph's
    entities. Raises `EncoderError` where the server gives no answer; what came is kept.
    """
    check_enrichment(tables, config)
    tally = _Tally(chat.model)
    texts: list[_Written] = []
    facts: list[_Written] = []
    problems: list[dict[str, str]] = []
    for answer in _answers(tables, config, chat, cache, reader, progress):  # as they come: nothing else is kept of them
        tally.add(answer)
        item, task = answer.question.record.item_id, answer.question.task
        problems += [{"item_id": item, "reason": f"enrich.{task.name}: {problem}"} for problem in answer.problems]
        written = [_Written(item, finding, task.hash, answer.created) for finding in answer.findings]
        (facts if task.writes_facts else texts).extend(written)
    triples = config.triples
    entities: dict[Value, Entity] = {}
    if triples is not None and facts:
        values = [(fact.finding.kind, fact.finding.value) for fact in facts]
        merging = encoder if triples.same_over is not None else None
        relations = triples.schema_of()
        entities = entities_of(values, relations, tables, known=known, encoder=merging, same_over=triples.same_over)
    enriched = replace(
        tables,
        media=_added(tables.media, MEDIA, _texts(texts, config.language, chat.model)),
        triples=_added(tables.triples, TRIPLES, _triples(facts, entities, chat.model)),
        rejected=pa.concat_tables([tables.rejected, pa.Table.from_pylist(problems, QUARANTINE)]),
    )
    return Enriched(enriched, tally.report())


def try_out(
    tables: Tables,
    config: EnrichmentConfig,
    chat: Chat,
    cache: ReplyCache,
    reader: MediaReader,
    *,
    items: Collection[str] | None = None,
    most: int = 0,
    progress: Progress | None = None,
) -> tuple[list[Answered], EnrichmentReport]:
    """Ask about some items, or all, for the cache and no table; the first `most` answers."""
    check_enrichment(tables, config)
    tally = _Tally(chat.model)
    shown: list[Answered] = []
    for answer in _answers(tables, config, chat, cache, reader, progress, items):
        tally.add(answer)
        if len(shown) < most:
            shown.append(answer)
    return shown, tally.report()


def estimates(
    tables: Tables,
    config: EnrichmentConfig,
    chat: Chat,
    cache: ReplyCache,
    reader: MediaReader,
    *,
    items: Collection[str] | None = None,
    progress: Progress | None = None,
) -> list[Estimate]:
    """What is still to be sent, by task; nothing is sent. Tokens are guessed from characters, pixels and seconds, and
    from the replies there are."""
    check_enrichment(tables, config)
    tasks = tasks_of(config)
    concerned: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for question in _each_item(_questions(tables, config, chat, reader, items), len(tables.items or ()), progress):
        concerned[question.task.name] += 1
        if cache.get(question.key) is None:
            calls[question.task.name] += 1
            sizes[question.task.name] += _tokens(question, config)
    found = []
    for task in tasks:
        usage, number = cache.usage(task.name), calls[task.name]
        sent, back = sizes[task.name], round(number * (usage.tokens_out or _REPLY[task.name]))
        price = chat.config.price
        cost = None if price is None else (sent * price.input + back * price.output) / 1e6
        seconds = number * usage.seconds / chat.config.concurrency if usage.replies else None
        found.append(Estimate(task.name, concerned[task.name], number, sent, back, seconds, cost))
    return found


def _answers(
    tables: Tables,
    config: EnrichmentConfig,
    chat: Chat,
    cache: ReplyCache,
    reader: MediaReader,
    progress: Progress | None,
    items: Collection[str] | None = None,
) -> Iterator[Answered]:
    asked = _questions(tables, config, chat, reader, items)
    total = len(tables.items or ()) if items is None else len(items)
    return ask_all(_each_item(asked, total, progress), chat, cache, config, reader)


def _questions(
    tables: Tables, config: EnrichmentConfig, chat: Chat, reader: MediaReader, items: Collection[str] | None
) -> Iterable[Question]:
    return questions(tasks_of(config), item_records(tables, config, reader, items), chat, config)


def _each_item(asked: Iterable[Question], total: int, progress: Progress | None) -> Iterable[Question]:
    """The questions, with progress counted in items; one that no task concerns counts at the end."""
    for done, (_, of_item) in enumerate(groupby(asked, lambda question: question.record.item_id)):
        if progress is not None:
            progress(done, total)
        yield from of_item
    if progress is not None:
        progress(total, total)


class _Written(NamedTuple):
    """One finding, of an item."""

    item: str
    finding: Finding
    prompt: str
    created: str

    def provenance(self, model: str) -> dict[str, str]:
        values = (GENERATED, model, self.prompt, self.created, self.finding.evidence)
        return dict(zip(PROVENANCE.names, values, strict=True))


def _texts(texts: Sequence[_Written], language: str, model: str) -> list[dict[str, str]]:
    return [
        {
            "item_id": text.item,
            "modality": "text",
            "content": text.finding.value,
            "role": text.finding.kind,
            "lang": language,
            **text.provenance(model),
        }
        for text in texts
    ]


def _triples(facts: Sequence[_Written], entities: Mapping[Value, Entity], model: str) -> list[dict[str, str | None]]:
    found: dict[tuple[str, str, str], dict[str, str | None]] = {}
    for fact in facts:
        relation = fact.finding.kind
        entity = entities[relation, fact.finding.value]
        row = {
            "head_id": fact.item,
            "relation": relation,
            "tail_id": entity.id,
            "head_type": None,
            "tail_type": entity.type or None,
            "tail_name": entity.name,
            **fact.provenance(model),
        }
        found.setdefault((fact.item, relation, entity.id), row)
    return list(found.values())


def _added(table: pa.Table | None, schema: pa.Schema, rows: Sequence[object]) -> pa.Table | None:
    """The table with generated rows after its own; as it was where there are none."""
    if not rows:
        return table
    whole = pa.schema([*schema, *PROVENANCE])
    own = schema.empty_table() if table is None else table.replace_schema_metadata()
    return pa.concat_tables([own, pa.Table.from_pylist(list(rows), whole)], promote_options="default").select(
        whole.names
    )


class _Tally:
    """Counts answers."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._written: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()

    def add(self, answer: Answered) -> None:
        self._written.update(finding.kind for finding in answer.findings)
        sums = {"asked": 1, "kept": int(answer.kept), "left_out": len(answer.problems)}
        self._sums.update({**sums, "tokens_in": answer.tokens_in, "tokens_out": answer.tokens_out})

    def report(self) -> EnrichmentReport:
        return EnrichmentReport(self._model, written=dict(sorted(self._written.items())), **self._sums)


def _tokens(question: Question, config: EnrichmentConfig) -> int:
    """Of a request, guessed: a character of a script without spaces is about one."""
    text = question.task.instructions + question.prompt.record
    wide = sum(letter > "\u2e7f" for letter in text)
    media = {"image": config.pixels**2 / _PIXELS_A_TOKEN, "audio": config.seconds * _TOKENS_A_SECOND}
    shown = sum(media[medium.ref.modality] for medium in question.prompt.media)
    return math.ceil(wide + (len(text) - wide) / _CHARACTERS_A_TOKEN + shown)
