"""What a language model is asked of a catalogue's items: settings of the `enrich` section."""

import unicodedata
from collections.abc import Mapping
from importlib.resources import files
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, Field, PositiveInt, model_validator

READY = ("fashion", "film", "groceries", "music")
"""Closed schemas that are here."""

ITEM_TYPE = "Item"
"""The type that leads a fact to an item of the catalogue, which no generated one may."""

Shown = Literal["text", "image", "audio"]


def _plain(name: str) -> str:
    name = unicodedata.normalize("NFC", name).strip()
    if not 0 < len(name) <= 60 or not name.isprintable():
        raise ValueError(f"{name[:60]!r} is no name: one line of 1 to 60 characters")
    return name


Name = Annotated[str, AfterValidator(_plain)]


class RelationConfig(BaseModel, extra="forbid"):
    """One kind of fact that may be found."""

    meaning: str = Field(min_length=1, max_length=500)
    """What it says of an item, as the model is told."""

    type: Name | None = None
    """The type of its entities; the relation's name unless given. Facts of the catalogue's own with this type share
    entities with it."""

    values: list[Name] = Field(default_factory=list, max_length=500)
    """The only values there are; empty: any short one."""

    most: PositiveInt = Field(3, le=50)
    """Values an item may have."""

    synonyms: dict[Name, Name] = Field(default_factory=dict)
    """Spellings that mean another: `{trainers: sneakers}`."""


class CaptionsConfig(BaseModel, extra="forbid"):
    """A text for items that have none, or hardly any."""

    shorter_than: PositiveInt = 40
    """An item whose texts have fewer characters together gets one."""

    show: list[Shown] = Field(["image"], max_length=3)
    """What the model is shown beside title and `attributes`; an item with none of all these is left alone."""

    characters: PositiveInt = 600
    """Longest caption."""


class SummaryConfig(BaseModel, extra="forbid"):
    """A short text in place of a long one's many words: what an item is, for the text encoder."""

    longer_than: PositiveInt = 400
    """An item whose texts have more characters together gets one."""

    characters: PositiveInt = 400
    """Longest summary."""


class TriplesConfig(BaseModel, extra="forbid"):
    """Facts, in relations that are fixed before."""

    ready: Literal["fashion", "film", "groceries", "music"] | None = None
    """A schema that is here."""

    relations: dict[Name, RelationConfig | None] = Field(default_factory=dict)
    """Further relations, or others in place of the ready one's; null takes one out."""

    show: list[Shown] = Field(["text"], max_length=3)
    """What the model is shown beside title and `attributes`."""

    same_over: float | None = Field(None, gt=0, le=1)
    """Values of one type whose texts are this alike (cosine of the run's text encoder) become one; None: spelling
    alone decides."""

    @model_validator(mode="after")
    def _has_some(self) -> "TriplesConfig":
        relations = self.schema_of()
        if not relations:
            raise ValueError("names no relation; give `ready`, `relations` or both")
        if any((relation.type or name) == ITEM_TYPE for name, relation in relations.items()):
            raise ValueError(f"type {ITEM_TYPE!r} would lead to items of the catalogue; give another")
        return self

    def schema_of(self) -> dict[str, RelationConfig]:
        """Relation -> its settings, by name."""
        ready = ready_schema(self.ready) if self.ready else {}
        return {name: relation for name, relation in sorted({**ready, **self.relations}.items()) if relation}


class EnrichmentConfig(BaseModel, extra="forbid"):
    """What a language model writes into the graph; nothing unless a task is named."""

    captions: CaptionsConfig | None = None
    """Texts where there are none."""

    triples: TriplesConfig | None = None
    """Facts from texts, pictures and sounds."""

    summary: SummaryConfig | None = None
    """Short texts beside long ones."""

    attributes: list[str] = Field(default_factory=list)
    """Attributes of items that are sent beside the title."""

    language: str = Field("en", pattern=r"^[A-Za-z][A-Za-z-]{1,30}$")
    """Of captions and summaries, as a code or a word: `en`, `zh`, `Chinese`."""

    text_characters: PositiveInt = 4000
    """Characters of an item's texts that are sent; the rest stays here."""

    pictures: PositiveInt = Field(1, le=8)
    """Pictures, and as many sounds, of an item that are sent: its first ones."""

    pixels: PositiveInt = Field(448, ge=16, le=4096)
    """Width and height of the squares that pictures are sent as, with white margins."""

    seconds: float = Field(20.0, gt=0, le=600)
    """Of a sound that is sent: its first ones."""

    def __bool__(self) -> bool:
        return bool(self.captions or self.triples or self.summary)


def ready_schema(name: str) -> Mapping[str, RelationConfig]:
    """A closed schema that is here."""
    text = files("etl.enrichment").joinpath("ready", f"{name}.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return {relation: RelationConfig.model_validate(entry) for relation, entry in found.items()}
