"""Tasks put to a model for item after item: what is kept is not asked again, what does not fit is asked once more."""

import hashlib
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from common.text import one_line
from encoders.audio import WindowPreparer
from encoders.chat import Chat, Message, Reply
from encoders.errors import DecodeError, EncoderError, RequestRefused
from encoders.image import ImagePreparer
from encoders.message import SOUND_RATE, Part, picture_part, sound_part, text_part
from encoders.pool import Decoder
from encoders.reading import MediaReader
from etl.enrichment.config import EnrichmentConfig
from etl.enrichment.records import ItemRecord, Medium
from etl.enrichment.replies import KeptReply, ReplyCache, today
from etl.enrichment.tasks import Finding, Prompt, Read, Task

_AHEAD = 16
"""Requests that may wait for an older one, for each that runs: a slow reply holds up none."""
_PATIENCE = 3
"""Refusals before any reply, after which the server is thought not to understand at all."""
_LONGEST_REPLY = 20_000


@dataclass(frozen=True)
class Question:
    """One task for one item."""

    task: Task
    record: ItemRecord
    prompt: Prompt
    key: str
    """SHA-256 over everything that decides the reply."""


class Answered(NamedTuple):
    """What became of a question."""

    question: Question
    findings: tuple[Finding, ...]
    problems: tuple[str, ...]
    """Why it has none, or what of it was left out."""
    created: str
    kept: bool
    """Whether it came from the cache."""
    tokens_in: int = 0
    tokens_out: int = 0


def questions(
    tasks: Sequence[Task], records: Iterable[ItemRecord], chat: Chat, config: EnrichmentConfig
) -> Iterator[Question]:
    """Every task of every item that it concerns."""
    for record in records:
        for task in tasks:
            prompt = task.prompt(record)
            if prompt is not None:
                yield Question(task, record, prompt, _key(task, prompt, chat, config))


def ask_all(
    asked: Iterable[Question], chat: Chat, cache: ReplyCache, config: EnrichmentConfig, reader: MediaReader
) -> Iterator[Answered]:
    """The answers in the order of the questions, `concurrency` requests at once.

    `EncoderError` where the server gives no answer, or takes none of the first questions; what came is kept.
    """
    with _Asker(chat, cache, config, reader) as asker:
        yield from asker.all(asked)


def _key(task: Task, prompt: Prompt, chat: Chat, config: EnrichmentConfig) -> str:
    media = [[medium.ref.modality, medium.id] for medium in prompt.media]
    sizes = [config.pixels, config.seconds] if media else []
    parts = [chat.identity, task.instructions, task.schema, prompt.record, media, sizes]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()


class _Asker:
    """One run over questions: the threads, and the processes that decode media."""

    def __init__(self, chat: Chat, cache: ReplyCache, config: EnrichmentConfig, reader: MediaReader) -> None:
        self._chat, self._cache, self._config, self._reader = chat, cache, config, reader
        self._picture = Decoder(ImagePreparer(config.pixels, "pad"), reader.limits)
        self._sound = Decoder(WindowPreparer(SOUND_RATE, config.seconds, max_windows=1), reader.limits)
        self._heard = False
        self._refused = 0
        self._failure: EncoderError | None = None

    def __enter__(self) -> "_Asker":
        return self

    def __exit__(self, *_: object) -> None:
        self._picture.close()
        self._sound.close()

    def all(self, asked: Iterable[Question]) -> Iterator[Answered]:
        at_once = self._chat.config.concurrency
        waiting: deque[tuple[str, Future[Answered]]] = deque()
        running: dict[str, Future[Answered]] = {}

        def first() -> Answered:
            key, future = waiting.popleft()
            answered = future.result()
            if running.get(key) is future:
                del running[key]
            return answered

        with ThreadPoolExecutor(at_once) as threads:
            try:
                for question in asked:
                    future = threads.submit(self._answer, question, running.get(question.key))
                    running.setdefault(question.key, future)
                    waiting.append((question.key, future))
                    while waiting and (waiting[0][1].done() or len(waiting) > _AHEAD * at_once):
                        yield first()
                while waiting:
                    yield first()
            finally:
                threads.shutdown(wait=True, cancel_futures=True)

    def _answer(self, question: Question, same: Future[Answered] | None) -> Answered:
        if same is not None:  # equal items are paid once; that one was begun before, so no two wait for each other
            wait([same])
        kept = self._cache.get(question.key)
        if kept is not None:
            read = _read(question.task, Reply(kept.text), question.record)
            return Answered(question, *read, kept.created, True)
        if self._failure is not None:  # nothing more is sent once one has failed for good
            raise self._failure
        try:
            parts = [self._part(medium) for medium in question.prompt.media]
            return self._asked(question, parts)
        except DecodeError as error:  # the encoders quarantine the piece itself
            return Answered(question, (), (f"its media cannot be sent: {error}",), today(), False)
        except RequestRefused as error:
            self._refused += 1
            if not self._heard and self._refused >= _PATIENCE:
                self._failure = EncoderError(str(error))
                raise self._failure from error
            return Answered(question, (), (str(error),), today(), False)
        except EncoderError as error:
            self._failure = error
            raise

    def _asked(self, question: Question, parts: Sequence[Part]) -> Answered:
        task, started = question.task, time.monotonic()
        content = [text_part(question.prompt.record), *parts] if parts else question.prompt.record
        messages = [Message("system", _instructions(task, self._chat)), Message("user", content)]
        reply = self._chat.ask(messages, task.schema)
        self._heard = True
        read = _read(task, reply, question.record)
        tokens = np.array([reply.tokens_in, reply.tokens_out])
        if read.problems:
            said = f"This does not fit: {one_line('; '.join(read.problems))}. Reply once more, with JSON that does."
            before = Message("assistant", reply.text[:_LONGEST_REPLY] or "{}")
            with suppress(RequestRefused):  # too long for some, where the first one was not: that one stands
                again = self._chat.ask([*messages, before, Message("user", said)], task.schema)
                second = _read(task, again, question.record)
                tokens += [again.tokens_in, again.tokens_out]
                if len(second.problems) <= len(read.problems) or not read.findings:
                    reply, read = again, second
        kept = KeptReply(_whole(reply), today(), int(tokens[0]), int(tokens[1]), time.monotonic() - started)
        self._cache.put(question.key, task.name, kept)
        return Answered(question, *read, kept.created, False, kept.tokens_in, kept.tokens_out)

    def _part(self, medium: Medium) -> Part:
        content = self._reader.read(medium.ref)
        if medium.ref.modality == "image":
            return picture_part(self._picture(content).array)
        sound = self._sound(content)
        length = round(float(sound.facts["duration"]) * SOUND_RATE)
        return sound_part(sound.array[0, : max(1, length)])


def _instructions(task: Task, chat: Chat) -> str:
    """With the schema in words, for a server that is not told it."""
    if chat.config.replies in ("schema", "object"):
        return task.instructions
    return f"{task.instructions}\nReply with one JSON object of this JSON Schema: {json.dumps(task.schema)}"


def _read(task: Task, reply: Reply, record: ItemRecord) -> Read:
    text = _whole(reply)
    return task.read(text, record) if text else Read((), ("no whole reply came within language_model.max_tokens",))


def _whole(reply: Reply) -> str:
    """What is read, and kept to be read again; nothing of a reply that was cut or never ends."""
    return "" if reply.cut or len(reply.text) > _LONGEST_REPLY else reply.text.strip()
