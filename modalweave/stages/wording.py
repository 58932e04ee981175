"""The sentences of a reason in another tone, by the run's language model: asked once, kept, and checked.

The model is given sentences with gaps. No title, no name and nothing of any customer is sent; what fills the gaps is
put in here. So a reply can only change the words between them, and one that adds a name, a number or a gap is refused.
"""

import hashlib
import json
import re
from collections import Counter

from pydantic import BaseModel, ValidationError

from common.text import one_line
from encoders.chat import Chat, Message, json_of
from etl.enrichment.replies import KeptReply, ReplyCache, today
from modalweave.config import RunConfig
from modalweave.errors import ConfigError, RunError
from modalweave.progress import Stages, warn
from modalweave.results.words import Language, customer_sentences
from modalweave.workspace import Workspace

_INSTRUCTIONS = """You word one sentence that tells a customer why something is recommended.
Say just what the given sentence says, in the same language ({language}), in this tone: {tone}
Each of these gaps stands for a name and is copied as it is, once: {gaps}. Add no other name, no number, no quotation,
no praise of the item and no fact. Reply with JSON: {{"sentence": "..."}}"""
_SCHEMA = {
    "type": "object",
    "properties": {"sentence": {"type": "string"}},
    "required": ["sentence"],
    "additionalProperties": False,
}
_GAP = re.compile(r"\{([a-z]+)\}")
_LONGEST_TONE = 200
_ENDS = {"en": ".!", "zh": "。！"}


class _Reply(BaseModel, extra="forbid"):
    sentence: str


def worded(config: RunConfig, language: Language, tone: str, stages: Stages) -> dict[str, str]:
    """Name of a sentence -> how the model says it; those that did not fit are left out, and told.

    Raises `RunError` for a tone that is none, `EncoderError` where the model gives no answer.
    """
    if config.language_model is None:
        raise ConfigError("a tone needs a model; give language_model: {address: http://127.0.0.1:8000/v1, model: X}")
    if not tone.strip() or len(tone) > _LONGEST_TONE:
        raise RunError(f"a tone is a few words, at most {_LONGEST_TONE} characters, e.g. 'like a bookseller'")
    chat = Chat(config.language_model)
    stages.note(f"  the sentences of reasons, with gaps for every name, go to {chat.sends_to}, unless they are kept")
    found, refused = {}, []
    with ReplyCache(Workspace(config.workspace).replies) as cache:
        for name, text in customer_sentences(language).items():
            reply = _asked(chat, cache, text, language, one_line(tone, None))
            problem = problem_of(text, reply, language)
            if problem is None:
                found[name] = reply
            else:
                refused.append(f"{name} ({problem})")
    if refused:
        warn([f"{len(refused)} sentences did not fit and stay as they are: {'; '.join(refused)}"])
    return found


def problem_of(text: str, reply: str, language: Language) -> str | None:
    """Why a reply cannot stand for a sentence; None where it can."""
    rest = _GAP.sub("", reply)
    marks = _marks(reply) - _marks(text)
    named = _names(reply) - _names(text) if language == "en" else set()
    wide = any("\u4e00" <= letter <= "\u9fff" for letter in rest)
    foreign = not wide or re.search(r"[A-Za-z]", rest) if language == "zh" else wide
    checks = {
        "its gaps are not those of the sentence": Counter(_GAP.findall(reply)) != Counter(_GAP.findall(text))
        or bool(set("{}") & set(rest)),
        "it is no short line": not reply.isprintable() or len(reply) > 3 * len(text) + 40,
        "it does not end as a sentence does": not reply.endswith(tuple(_ENDS[language])),
        "it holds a number": any(letter.isdigit() for letter in rest),
        "it is in another language": bool(foreign),
        f"it holds {next(iter(marks), '')}": bool(marks),
        f"it names {min(named, default='')!r}": bool(named),
    }
    return next((problem for problem, is_so in checks.items() if is_so), None)


def _marks(text: str) -> Counter[str]:
    """Signs around names: quotations, titles, links."""
    return Counter(letter for letter in text if letter in '"“”„«»《》〈〉「」『』<>@#/\\')


def _names(text: str) -> set[str]:
    """Capitalised words that do not begin a sentence."""
    inside = re.sub(r"(^|[.!?]\s+)\w+", " ", text)
    return {word for word in re.findall(r"\b[A-Z][\w'-]*", inside) if word not in ("I", "It")}


def _asked(chat: Chat, cache: ReplyCache, text: str, language: Language, tone: str) -> str:
    """The reply, asked once more where it does not fit; empty where it is no JSON."""
    gaps = ", ".join(f"{{{gap}}}" for gap in dict.fromkeys(_GAP.findall(text)))
    instructions = _INSTRUCTIONS.format(language=language, tone=tone, gaps=gaps)
    parts = json.dumps([chat.identity, instructions, text], sort_keys=True, ensure_ascii=False)
    key = hashlib.sha256(parts.encode()).hexdigest()
    kept = cache.get(key)
    if kept is None:
        messages = [Message("system", instructions), Message("user", text)]
        reply = chat.ask(messages, _SCHEMA)
        problem = problem_of(text, _read(reply.text), language)
        if problem is not None:
            again = f"This does not fit: {problem}. Reply once more."
            messages += [Message("assistant", reply.text or "{}"), Message("user", again)]
            reply = chat.ask(messages, _SCHEMA)
        kept = KeptReply(reply.text, today(), reply.tokens_in, reply.tokens_out, 0.0)
        cache.put(key, "wording", kept)
    return _read(kept.text)


def _read(reply: str) -> str:
    try:
        return _Reply.model_validate_json(json_of(reply)).sentence.strip()
    except ValidationError:
        return ""
