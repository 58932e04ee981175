"""What a model may be shown of each item: its title, attributes, texts, pictures and sounds. Nothing of its users."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from common.text import suggestion
from encoders.contents import MediaRef
from encoders.errors import DecodeError
from encoders.reading import MediaReader
from encoders.text import decode_text
from etl.enrichment.config import EnrichmentConfig
from etl.errors import SourceError
from etl.tables import Tables


class Medium(NamedTuple):
    """A picture or a sound of an item."""

    ref: MediaRef
    id: str
    """SHA-256 of its bytes: the id of its node in the graph."""


@dataclass(frozen=True)
class ItemRecord:
    """One item as a prompt may show it."""

    item_id: str
    title: str
    attributes: Mapping[str, str]
    texts: tuple[str, ...]
    """Cut to what may be sent."""
    length: int
    """Characters of all its texts, uncut."""
    media: Mapping[str, tuple[Medium, ...]]
    """`image` and `audio` -> the first ones that can be read."""


def item_records(
    tables: Tables, config: EnrichmentConfig, reader: MediaReader, only: Collection[str] | None = None
) -> Iterator[ItemRecord]:
    """A record of each item, or of those named, in the order of the items table; read one by one.

    `SourceError` for an attribute that items do not have.
    """
    assert tables.items is not None
    for name in config.attributes:
        if name not in tables.items.column_names:
            known = tables.items.column_names
            raise SourceError(f"enrich.attributes: items have no {name!r}; {suggestion(name, known)}")
    refs = _refs(tables, _shown(config))
    titled = "title" in tables.items.column_names
    for row in tables.items.select(["item_id", *(["title"] if titled else []), *config.attributes]).to_pylist():
        if only is not None and row["item_id"] not in only:
            continue
        texts, media = _contents(refs.get(row["item_id"], ()), config, reader)
        yield ItemRecord(
            item_id=row["item_id"],
            title=str(row.get("title") or ""),
            attributes={name: str(row[name]) for name in config.attributes if row[name] is not None},
            texts=_cut(texts, config.text_characters),
            length=sum(map(len, texts)),
            media=media,
        )


def _shown(config: EnrichmentConfig) -> set[str]:
    """The modalities that any task reads."""
    tasks = [task for task in (config.captions, config.triples) if task is not None]
    return {"text", *(modality for task in tasks for modality in task.show)}


def _refs(tables: Tables, shown: Collection[str]) -> Mapping[str, list[MediaRef]]:
    found: dict[str, list[MediaRef]] = defaultdict(list)
    if tables.media is not None:
        rows = tables.media.filter(pc.is_in(tables.media["modality"], value_set=pa.array(sorted(shown), pa.string())))
        for row in rows.select(["item_id", "modality", "uri", "content", "lang"]).to_pylist():
            found[row["item_id"]].append(MediaRef(row["modality"], row["uri"], row["content"], row["lang"]))
    return found


def _contents(
    refs: Collection[MediaRef], config: EnrichmentConfig, reader: MediaReader
) -> tuple[list[str], dict[str, tuple[Medium, ...]]]:
    """What can be read; what cannot is left to the encoders, which quarantine it with its reason."""
    texts: list[str] = []
    media: dict[str, list[Medium]] = {"image": [], "audio": []}
    for ref in refs:
        try:
            if ref.modality == "text":
                texts.append(decode_text(reader.read(ref), reader.limits))
            elif len(media[ref.modality]) < config.pictures:
                content = reader.read(ref)
                assert isinstance(content, bytes)
                media[ref.modality].append(Medium(ref, hashlib.sha256(content).hexdigest()))
        except DecodeError:
            continue
    return texts, {modality: tuple(found) for modality, found in media.items() if found}


def _cut(texts: list[str], most: int) -> tuple[str, ...]:
    kept = []
    for text in texts:
        if most <= 0:
            break
        kept.append(text[:most])
        most -= len(text)
    return tuple(kept)
