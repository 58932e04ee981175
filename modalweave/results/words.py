"""Paths of the graph as sentences that a customer or an analyst reads, in English and Chinese.

Templates alone: what a sentence says is what its path holds. Titles and names are the catalogue's own, on one line.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, Protocol

from common.text import one_line, printable
from graph.views.paths import PathNode

Language = Literal["en", "zh"]
Audience = Literal["customer", "analyst"]


POPULAR: Mapping[Language, str] = {"en": "Many people choose it.", "zh": "很多人都选了它。"}
"""Of what is listed for somebody of whom nothing is known."""


class Reason(Protocol):
    """What a sentence is made of; `modalweave.results.explanation.ExplainedPath` is one."""

    @property
    def kind(self) -> str:
        """`media`, `similar`, `entity` or `user`."""

    @property
    def modality(self) -> str | None:
        """Of `media` and `similar`."""

    @property
    def nodes(self) -> Sequence[PathNode]:
        """From the user over an item of their history to the recommended item."""

    @property
    def relations(self) -> tuple[str, str] | None:
        """Of `entity`."""


Wording = Mapping[str, str]
"""Sentences by the names that `customer_sentences` gives them, in place of its own."""


def paragraph(
    reasons: Sequence[Reason],
    language: Language,
    audience: Audience,
    most: int,
    wording: Wording = MappingProxyType({}),
) -> str:
    """The first reasons that say something new, as sentences in a row."""
    said = list(dict.fromkeys(_worth_saying(reasons, language, audience, wording)))[:most]
    return ("" if language == "zh" else " ").join(said)


def customer_sentences(language: Language) -> dict[str, str]:
    """Name -> what a customer is told, with `{history}`, `{between}`, `{relation}` and `{other}` for names."""
    plain = {_name(kind, modality): text for (kind, modality), text in _SENTENCES[language, "customer"].items()}
    return plain | {f"entity {form}": text for form, text in _ENTITY[language, "customer"].items()}


def sentence(reason: Reason, language: Language, audience: Audience, wording: Wording = MappingProxyType({})) -> str:
    """One path in words: titles, and ids of other people for an `analyst` only."""
    _, history, *between, item = (_shown(node) for node in reason.nodes)
    values = {"history": history, "item": item, "between": between[0], "user": _shown(reason.nodes[0])}
    if reason.kind == "entity" and reason.relations is not None:
        return _related(reason.relations, values, language, audience, wording)
    modality = reason.modality if reason.kind != "user" else None
    own = wording.get(_name(reason.kind, modality)) if audience == "customer" else None
    return (own or _SENTENCES[language, audience][reason.kind, modality]).format(**values)


def _name(kind: str, modality: str | None) -> str:
    return f"{kind} {modality}" if modality else kind


def _worth_saying(reasons: Sequence[Reason], language: Language, audience: Audience, wording: Wording) -> Iterator[str]:
    """One of each kind first: a second picture that is alike tells less than another kind of reason."""
    later = []
    kinds: set[tuple[str, str | None]] = set()
    for reason in reasons:
        kind = (reason.kind, reason.modality if reason.kind != "user" else None)
        if kind in kinds:
            later.append(reason)
            continue
        kinds.add(kind)
        yield sentence(reason, language, audience, wording)
    for reason in later:
        yield sentence(reason, language, audience, wording)


def _related(
    relations: tuple[str, str], values: Mapping[str, str], language: Language, audience: Audience, wording: Wording
) -> str:
    first, second = (_RELATIONS[language](relation) for relation in relations)
    form = "apart" if first != second else "verb" if language == "en" and _is_verb(second) else "noun"
    own = wording.get(f"entity {form}") if audience == "customer" else None
    return (own or _ENTITY[language, audience][form]).format(**values, relation=second, other=first)


def _is_verb(relation: str) -> bool:
    """Whether English says "it is RELATION X": `directed by`, `in series`."""
    return relation.endswith(" by") or relation.startswith(("in ", "from ", "part of"))


def _english(relation: str) -> str:
    """`directed_by` -> `directed by`, `has_genre` -> `genre`."""
    words = relation.replace("_", " ").strip()
    return words.removeprefix("has ").removeprefix("is ") or words


def _chinese(relation: str) -> str:
    """The usual relations by name; any other as the data set has it."""
    return _IN_CHINESE.get(_english(relation).lower(), _english(relation))


_RELATIONS: Mapping[Language, Callable[[str], str]] = {"en": _english, "zh": _chinese}
_IN_CHINESE = {
    "acted by": "演员",
    "actor": "演员",
    "album": "专辑",
    "artist": "艺人",
    "author": "作者",
    "brand": "品牌",
    "category": "类别",
    "colour": "颜色",
    "color": "颜色",
    "composed by": "作曲",
    "country": "国家",
    "directed by": "导演",
    "director": "导演",
    "genre": "类型",
    "in series": "系列",
    "keyword": "关键词",
    "language": "语言",
    "made by": "出品方",
    "manufacturer": "制造商",
    "material": "材质",
    "performed by": "演唱者",
    "produced by": "制作方",
    "published by": "出版方",
    "series": "系列",
    "starring": "主演",
    "style": "风格",
    "tag": "标签",
    "topic": "主题",
    "type": "种类",
    "written by": "作者",
}

_SENTENCES: Mapping[tuple[Language, Audience], Mapping[tuple[str, str | None], str]] = {
    ("en", "customer"): {
        ("media", "text"): "It has the same description as {history}, which you chose.",
        ("media", "image"): "It has the same picture as {history}, which you chose.",
        ("media", "audio"): "It has the same sound as {history}, which you chose.",
        ("similar", "text"): "It reads much like {history}, which you chose.",
        ("similar", "image"): "It looks much like {history}, which you chose.",
        ("similar", "audio"): "It sounds much like {history}, which you chose.",
        ("user", None): "People who chose {history}, as you did, also chose this.",
    },
    ("en", "analyst"): {
        ("media", "text"): "{item} has the same text as {history}, which {user} chose.",
        ("media", "image"): "{item} has the same picture as {history}, which {user} chose.",
        ("media", "audio"): "{item} has the same sound as {history}, which {user} chose.",
        ("similar", "text"): "{item} has a text much like that of {history}, which {user} chose.",
        ("similar", "image"): "{item} has a picture much like that of {history}, which {user} chose.",
        ("similar", "audio"): "{item} has a sound much like that of {history}, which {user} chose.",
        ("user", None): "{between} chose {history}, as {user} did, and also chose {item}.",
    },
    ("zh", "customer"): {
        ("media", "text"): "它与您选过的《{history}》有相同的介绍。",
        ("media", "image"): "它与您选过的《{history}》使用同一张图片。",
        ("media", "audio"): "它与您选过的《{history}》使用同一段声音。",
        ("similar", "text"): "它的介绍与您选过的《{history}》很相近。",
        ("similar", "image"): "它看起来很像您选过的《{history}》。",
        ("similar", "audio"): "它听起来很像您选过的《{history}》。",
        ("user", None): "和您一样选了《{history}》的人，也选了它。",
    },
    ("zh", "analyst"): {
        ("media", "text"): "《{item}》与 {user} 选过的《{history}》文本相同。",
        ("media", "image"): "《{item}》与 {user} 选过的《{history}》图片相同。",
        ("media", "audio"): "《{item}》与 {user} 选过的《{history}》声音相同。",
        ("similar", "text"): "《{item}》的文本与 {user} 选过的《{history}》相近。",
        ("similar", "image"): "《{item}》的图片与 {user} 选过的《{history}》相近。",
        ("similar", "audio"): "《{item}》的声音与 {user} 选过的《{history}》相近。",
        ("user", None): "{between} 和 {user} 都选了《{history}》，{between} 还选了《{item}》。",
    },
}
_ENTITY: Mapping[tuple[Language, Audience], Mapping[str, str]] = {
    ("en", "customer"): {
        "verb": "Like {history}, which you chose, it is {relation} {between}.",
        "noun": "It has the same {relation} as {history}, which you chose: {between}.",
        "apart": "It and {history}, which you chose, have {between} in common ({relation}; {other}).",
    },
    ("en", "analyst"): {
        "verb": "{item} is {relation} {between}, as is {history}, which {user} chose.",
        "noun": "{item} has the same {relation} as {history}, which {user} chose: {between}.",
        "apart": "{item} ({relation}) and {history} ({other}), which {user} chose, have {between} in common.",
    },
    ("zh", "customer"): {
        "noun": "它与您选过的《{history}》有相同的{relation}：{between}。",
        "apart": "它与您选过的《{history}》都和“{between}”有关（{relation}、{other}）。",
    },
    ("zh", "analyst"): {
        "noun": "《{item}》与 {user} 选过的《{history}》有相同的{relation}：{between}。",
        "apart": "《{item}》（{relation}）与 {user} 选过的《{history}》（{other}）都和“{between}”有关。",
    },
}
"""By whether both items are related to the entity in the same way, and whether English says that with a verb."""

_TURNS = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Characters that turn the direction of what follows them: they would reach past a title."""


def _shown(node: PathNode) -> str:
    return printable(one_line(node.title.translate(_TURNS), None)).replace("《", "〈").replace("》", "〉")
